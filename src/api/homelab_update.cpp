// POST /api/models/{name}/update: a model to its newest revision (contract §2.3, §5.7). A job, so
// that it is seen and can be cancelled; the answer comes when it has ended.
#include <fmt/format.h>

#include "base/strings.h"
#include "cache_work.h"
#include "care/model_update.h"
#include "dialects.h"
#include "replies.h"
#include "unused_write.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Pending;
using http::PendingReply;
using http::Reply;
using http::Request;

constexpr double kBytesPerMb = 1024.0 * 1024.0;

json::value text_or_null(std::optional<cache::CommitHash> const& commit) {
  return commit ? json::value(commit->text()) : json::value();
}

std::string message_of(std::string const& name, care::ModelUpdated const& updated) {
  if (!updated.commit)
    return fmt::format("Model '{}' is a local file or folder; it has no revisions", name);
  if (updated.before == updated.commit) return fmt::format("Model '{}' is up to date", name);
  return fmt::format("Model '{}' was updated to {}", name, updated.commit->text().substr(0, 8));
}

json::object answer_json(registry::Model const& model, care::ModelUpdated const& updated) {
  json::object out{
      {"message", message_of(model.model_name, updated)},
      {"old_commit", text_or_null(updated.before)},
      {"new_commit", text_or_null(updated.commit)},
      {"updated_at",
       to_local_iso(updated.commit ? model.last_updated.value_or(utc_now()) : utc_now())}};
  if (updated.collected) {
    auto const& collected = *updated.collected;
    out["garbage_collection"] =
        json::object{{"deleted_blobs", collected.deleted_blobs},
                     {"freed_mb", static_cast<double>(collected.freed_bytes) / kBytesPerMb},
                     {"total_blobs", collected.total_blobs},
                     {"referenced_blobs", collected.referenced_blobs}};
  } else if (!updated.not_collected.empty()) {
    out["garbage_collection_error"] = updated.not_collected;
  }
  return out;
}

Result<jobs::JobResult> carry_out(Services const& services, care::ModelUpdateChoice const& choice,
                                  jobs::JobControl& control) {
  auto const updated = care::update_model(work_of(services, control), choice);
  services.usage.refresh_soon();
  if (!updated) return fail(Error(updated.error()));
  ASSIGN_OR_RETURN(auto const model, services.registry.find(choice.name));
  return jobs::JobResult{answer_json(model, *updated)};
}

/// Whatever went wrong once it began is the download's failure; that it was stopped is not.
http::Response reply_of(jobs::Job const& job) {
  if (job.state == jobs::JobState::kSucceeded && job.result)
    return json_reply(200, job.result->value);
  if (job.state == jobs::JobState::kCancelled)
    return detail_reply(503, "The update was stopped; ask again to continue");
  return detail_reply(500, job.error ? job.error->message : "The update failed");
}

void start(SharedServices const& services, care::ModelUpdateChoice const& choice,
           std::shared_ptr<Pending> const& pending) {
  json::object request{{"model_name", choice.name}, {"garbage_collect", choice.collect_garbage}};
  auto const job = services->jobs.add("update", std::move(request),
                                      [services, choice](jobs::JobControl& control) {
                                        return carry_out(*services, choice, control);
                                      });
  if (!job) return pending->complete(error_reply(job.error()));
  auto const watching = services->jobs.watch(job->id, [pending](jobs::Job const& now) {
    if (!jobs::is_ended(now.state)) return true;
    pending->complete(reply_of(now));
    return false;
  });
  if (!watching) pending->complete(error_reply(watching.error()));
}

Reply update(SharedServices const& services, Request const& request) {
  auto const collect = query_flag(request, "garbage_collect", true);
  if (!collect) return collect.error();
  auto const model = services->registry.find(trim(request.path_value("name")));
  if (!model) return error_reply(model.error());
  auto const unused = write_if_unused<bool>(*services, {model->model_name}, [] { return true; });
  if (!unused) return error_reply(unused.error());
  if (!model->cache_path)
    return detail_reply(
        400, fmt::format("Model '{}' has no cache path; register it again", model->model_name));
  care::ModelUpdateChoice const choice{model->model_name, *collect};
  return PendingReply{[services, choice](std::shared_ptr<Pending> const& pending) {
    start(services, choice, pending);
  }};
}

}  // namespace

void add_model_update_routes(http::Router& router, SharedServices const& services) {
  router.add("POST", "/api/models/{name}/update",
             [services](Request const& request) { return update(services, request); });
}

}  // namespace homelab::api
