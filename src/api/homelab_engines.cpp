// What is loaded, beyond the one model that the original knows.
#include "base/time.h"
#include "dialects.h"
#include "replies.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

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

}  // namespace

void add_engine_routes(http::Router& router, SharedServices const& services) {
  router.add("GET", "/api/engines", [services](Request const&) { return list(*services); });
}

}  // namespace homelab::api
