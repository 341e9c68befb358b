// Health and the settings that are shown (contract §2.5, §2.8, §2.9).
#include "base/log.h"
#include "base/time.h"
#include "config/settings.h"
#include "dialects.h"
#include "gpu.h"
#include "replies.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

Reply health() {
  return json_reply(200, json::object{{"status", "healthy"},
                                      {"timestamp", to_local_iso(utc_now())},
                                      {"gpu_available", gpu_available()}});
}

Reply logging(bool on) { return json_reply(200, json::object{{"performance_logging", on}}); }

Reply set_logging(Services const& services, Request const& request) {
  BodyReader body(request);
  bool const on = body.boolean("enable");
  if (auto rejection = body.rejection()) return *std::move(rejection);
  services.engines.set_performance_logging(on);
  // It holds also when it cannot be remembered.
  if (auto const kept = services.registry.remember_switch(kLoggingSwitch, on); !kept)
    logger("api")->warn("the logging switch is not remembered: {}", kept.error().message);
  return json_reply(200, json::object{{"message", on ? "Performance logging is on"
                                                     : "Performance logging is off"},
                                      {"performance_logging", on}});
}

}  // namespace

void add_health_route(http::Router& router) {
  router.add("GET", "/health", [](Request const&) { return health(); });
}

void add_system_routes(http::Router& router, SharedServices const& services) {
  add_health_route(router);
  router.add("GET", "/api/config/logging", [services](Request const&) {
    return logging(services->engines.performance_logging());
  });
  router.add("POST", "/api/config/logging",
             [services](Request const& request) { return set_logging(*services, request); });
}

}  // namespace homelab::api
