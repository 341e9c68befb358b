// The cache's commands as jobs, with the same answers as `homelab-llm cache ... --json`.
#include "cache_choices.h"
#include "cache_work.h"
#include "care/repo_rows.h"
#include "care/usage.h"
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

/// What the job's thread does.
Result<jobs::JobResult> carry_out(Services const& services, CacheChoice const& choice,
                                  jobs::JobControl& control) {
  auto const work = work_of(services, control);
  auto answer = std::visit([&](auto const& one) { return care::run(work, one); }, choice);
  services.usage.refresh_soon();
  if (!answer) return fail(std::move(answer).error());
  return jobs::JobResult{std::move(answer->value), answer->complete};
}

Reply add(SharedServices const& services, Request const& request) {
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
