// The cache's commands as jobs, with the same answers as `homelab-llm cache ... --json`.
#include "cache_choices.h"
#include "care/repo_rows.h"
#include "care/usage.h"
#include "config/settings.h"
#include "cors.h"
#include "dialects.h"
#include "job_json.h"
#include "replies.h"
#include "shared_answer.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

/// Requests are kept with their jobs.
constexpr std::size_t kRequestLimitBytes = 64U << 10U;

Result<std::vector<care::RegisteredModel>> registered_models(Services const& services) {
  ASSIGN_OR_RETURN(auto const rows, services.registry.list());
  auto const loaded = services.engines.loaded();
  std::vector<care::RegisteredModel> models;
  models.reserve(rows.size());
  for (auto const& row : rows)
    models.push_back({row.model_name, row.hf_path, row.cache_location, row.cache_path,
                      row.current_commit.value_or(""), loaded && loaded->name == row.model_name});
  return models;
}

care::Work work_of(Services const& services) {
  care::Work work{.locations = services.locations, .trash_time = services.settings.trash_time()};
  work.models = [&services] { return registered_models(services); };
  work.hub = &services.hub;
  return work;
}

/// What the job's thread does.
Result<jobs::JobResult> carry_out(Services const& services, CacheChoice const& choice,
                                  jobs::JobControl& control) {
  auto work = work_of(services);
  work.stopped = [&control] { return control.is_cancelled(); };
  work.on_progress = [&control](care::Progress const& progress) {
    control.show({progress.what, progress.done_bytes, progress.total_bytes, progress.done_files,
                  progress.total_files});
  };
  work.remark = [&control](std::string const& words) { control.remark(words); };
  auto answer = std::visit([&](auto const& one) { return care::run(work, one); }, choice);
  services.usage.refresh_soon();
  if (!answer) return fail(std::move(answer).error());
  return jobs::JobResult{std::move(answer->value), answer->complete};
}

Reply add(SharedServices const& services, Request const& request) {
  if (auto refusal = refuse_other_origin(request)) return *std::move(refusal);
  auto wanted = read_cache_job(request);
  if (!wanted) return std::move(wanted).error();
  auto const job =
      services->jobs.add("cache " + wanted->command, std::move(wanted->fields),
                         [services, choice = std::move(wanted->choice)](jobs::JobControl& control) {
                           return carry_out(*services, choice, control);
                         });
  if (!job) return error_reply(job.error());
  auto reply = json_reply(202, job_json(*job, false));
  reply.headers.set("location", "/api/jobs/" + job->id);
  return reply;
}

http::Response answer_of(Result<care::Answer> const& answer) {
  if (!answer) return error_reply(answer.error());
  return json_reply(200, answer->value);
}

}  // namespace

void add_cache_job_routes(http::Router& router, SharedServices const& services) {
  router.add(
      "POST", "/api/cache/jobs",
      [services](Request const& request) { return add(services, request); }, kRequestLimitBytes);
  // They may walk large caches: the handlers' threads must not all be lost to that.
  auto const everything = std::make_shared<SharedAnswer>(
      [services] { return answer_of(care::ls(work_of(*services), "")); });
  router.add("GET", "/api/cache/ls", [services, everything](Request const& request) {
    auto const repo = last_query_value(request, "repo").value_or("");
    if (repo.empty()) return everything->ask();
    return Reply(answer_of(care::ls(work_of(*services), repo)));
  });
  auto const usage = std::make_shared<SharedAnswer>(
      [services] { return answer_of(care::du(work_of(*services))); });
  router.add("GET", "/api/cache/du", [usage](Request const&) { return usage->ask(); });
  router.add("GET", "/api/cache/trash", [services](Request const&) {
    auto const records = care::trash_records(work_of(*services), "");
    if (!records) return Reply(error_reply(records.error()));
    return Reply(json_reply(200, care::to_json(*records)));
  });
}

}  // namespace homelab::api
