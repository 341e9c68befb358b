// Jobs: what runs, waits or ended lately. Loads belong to the engine service and are only shown.
#include <fmt/format.h>

#include <atomic>
#include <memory>

#include "dialects.h"
#include "job_json.h"
#include "json_text.h"
#include "late_stream.h"
#include "replies.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

Reply list(Services const& services) {
  json::array out;
  for (engine::JobView const& job : services.engines.jobs()) out.push_back(job_json(job));
  for (jobs::Job const& job : services.jobs.list()) out.push_back(job_json(job, false));
  return json_reply(200, json::object{{"jobs", std::move(out)}});
}

std::optional<engine::JobView> load_named(Services const& services, std::string const& id) {
  for (engine::JobView const& job : services.engines.jobs())
    if (std::to_string(job.id) == id) return job;
  return std::nullopt;
}

/// Why a load cannot be treated like the book's jobs; nullopt when the id is no load's.
std::optional<http::Response> refuse_load(Services const& services, std::string const& id) {
  if (!load_named(services, id)) return std::nullopt;
  return detail_reply(400, fmt::format("job {} is a load: it can only be watched with GET "
                                       "/api/jobs, and ends with POST /api/orchestrate/unload",
                                       id));
}

Reply show(Services const& services, Request const& request) {
  auto const id = request.path_value("id");
  if (auto const load = load_named(services, id)) return json_reply(200, job_json(*load));
  auto const job = services.jobs.find(id);
  if (!job) return error_reply(job.error());
  return json_reply(200, job_json(*job, true));
}

Reply cancel(Services const& services, Request const& request) {
  auto const id = request.path_value("id");
  if (auto refusal = refuse_load(services, id)) return *std::move(refusal);
  auto const job = services.jobs.cancel(id);
  if (!job) return error_reply(job.error());
  return json_reply(200, job_json(*job, true));
}

Reply retry(Services const& services, Request const& request) {
  auto const id = request.path_value("id");
  if (auto refusal = refuse_load(services, id)) return *std::move(refusal);
  auto const job = services.jobs.retry(id);
  if (!job) return error_reply(job.error());
  return json_reply(202, job_json(*job, false));
}

/// One "data: " line per change. Results can be large, so they are asked for by id.
Reply events(Services const& services, Request const& request) {
  auto const id = request.path_value("id");
  if (auto refusal = refuse_load(services, id)) return *std::move(refusal);
  auto const gone = std::make_shared<std::atomic<bool>>(false);
  auto const stream = std::make_shared<LateStream>([gone] { *gone = true; });
  auto const watching = services.jobs.watch(id, [gone, stream](jobs::Job const& job) {
    bool const ended = jobs::is_ended(job.state);
    json::object const event{{"type", ended ? "end" : "progress"}, {"job", job_json(job, false)}};
    stream->write("data: " + to_ascii_json_text(event) + "\n\n");
    if (ended) stream->close(true);
    return !*gone;
  });
  if (!watching) return error_reply(watching.error());
  return stream->events_reply();
}

}  // namespace

void add_job_routes(http::Router& router, SharedServices const& services) {
  router.add("GET", "/api/jobs", [services](Request const&) { return list(*services); });
  router.add("GET", "/api/jobs/{id}",
             [services](Request const& request) { return show(*services, request); });
  router.add("DELETE", "/api/jobs/{id}",
             [services](Request const& request) { return cancel(*services, request); });
  router.add("POST", "/api/jobs/{id}/retry",
             [services](Request const& request) { return retry(*services, request); });
  router.add("GET", "/api/jobs/{id}/events",
             [services](Request const& request) { return events(*services, request); });
}

}  // namespace homelab::api
