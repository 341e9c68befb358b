// What is loaded, beyond the one model that the original knows.
#include <fmt/format.h>

#include <atomic>

#include "base/strings.h"
#include "base/time.h"
#include "dialects.h"
#include "late_stream.h"
#include "replies.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

json::value sandbox_json(std::optional<engine::SandboxReport> const& sandbox) {
  if (!sandbox) return nullptr;
  return json::object{
      {"complete", sandbox->complete()},   {"no_new_privileges", sandbox->no_new_privileges},
      {"no_tracing", sandbox->no_tracing}, {"few_capabilities", sandbox->few_capabilities},
      {"seccomp", sandbox->seccomp},       {"landlock", sandbox->landlock}};
}

json::object engine_json(engine::LoadedModel const& model) {
  return {{"model_name", model.name},
          {"model_id", model.id},
          {"current", model.current},
          {"pinned", model.pinned},
          {"device", model.device},
          {"dtype", model.dtype},
          {"commit", model.commit.empty() ? json::value() : json::value(model.commit)},
          {"model_path", model.model_path.string()},
          {"engine", model.engine.empty() ? json::value() : json::value(model.engine)},
          {"url", model.url.empty() ? json::value() : json::value(model.url)},
          {"process", model.pid},
          {"resident_bytes", model.resident_bytes},
          {"active_requests", model.active_requests},
          {"sandbox", sandbox_json(model.sandbox)},
          {"loaded_at", to_iso_utc(model.since)}};
}

Reply list(Services const& services) {
  json::array engines;
  for (auto const& model : services.engines.all_loaded()) engines.push_back(engine_json(model));
  json::array external;
  for (auto const& [name, engine] : services.engines.external_engines())
    external.push_back(
        json::object{{"name", name}, {"kind", engine.command.empty() ? "url" : "command"}});
  return json_reply(
      200, json::object{{"engines", std::move(engines)}, {"external", std::move(external)}});
}

constexpr std::uint64_t kUsualLines = 200;
constexpr std::uint64_t kMostLines = 100'000;

/// As it comes, until the engine ends or the client leaves.
Reply follow_log(std::shared_ptr<engine::LogFile> const& log, std::size_t lines) {
  auto const gone = std::make_shared<std::atomic<bool>>(false);
  auto const stream = std::make_shared<LateStream>([gone] { *gone = true; });
  log->follow(lines, [gone, stream](std::string_view text, bool ended) {
    if (!text.empty()) stream->write(std::string(text));
    if (ended) stream->close(true);
    return !*gone;
  });
  http::StreamReply reply;
  reply.headers.set("content-type", "text/plain; charset=utf-8");
  reply.headers.set("cache-control", "no-cache");
  reply.headers.set("x-accel-buffering", "no");
  reply.start = stream->starter();
  return reply;
}

Reply show_log(Services const& services, Request const& request) {
  std::string const name =
      percent_decode(request.path_value("name")).value_or(request.path_value("name"));
  auto const wanted = request.query_value("lines");
  auto const lines = wanted ? parse_uint(*wanted) : std::optional(kUsualLines);
  if (!lines || *lines > kMostLines)
    return detail_reply(400,
                        fmt::format("lines: expected a whole number from 0 to {}", kMostLines));
  auto const follow = request.query_value("follow").value_or("0");
  if (follow != "0" && follow != "1") return detail_reply(400, "follow: expected 0 or 1");
  auto const log = services.engines.log_of(name);
  if (!log)
    return detail_reply(404,
                        fmt::format("no log of model '{}' is kept: it was not loaded since the "
                                    "server started, or long ago",
                                    name));
  if (follow == "1") return follow_log(log, *lines);
  return text_reply(200, log->tail(*lines));
}

}  // namespace

void add_engine_routes(http::Router& router, SharedServices const& services) {
  router.add("GET", "/api/engines/{name}/log",
             [services](Request const& request) { return show_log(*services, request); });
  router.add("GET", "/api/engines", [services](Request const&) { return list(*services); });
}

}  // namespace homelab::api
