#include "api/routes.h"

#include "dialects.h"
#include "doorman.h"
#include "replies.h"
#include "request_book.h"
#include "route_needs.h"

namespace homelab::api {
namespace {

using http::Request;
using http::Response;

void add_common_rules(http::Router& router) {
  router.on_not_found([](Request const&) { return detail_reply(404, "Not Found"); });
  router.on_not_allowed([](Request const&, std::vector<std::string> const& allowed) {
    Response response = detail_reply(405, "Method Not Allowed");
    std::string methods;
    for (std::string const& method : allowed) methods += (methods.empty() ? "" : ", ") + method;
    response.headers.set("allow", methods);
    return response;
  });
}

/// The Hub's routes can only be read; what they give is for those who may use the server.
access::Need need_of_mirror(std::string_view, std::string_view pattern) {
  return pattern.empty() || pattern == "/health" ? access::Need::kOpen : access::Need::kUse;
}

}  // namespace

http::Router make_router(Services services) {
  if (!services.requests) services.requests = std::make_shared<RequestBook>();
  auto const shared = std::make_shared<Services const>(std::move(services));
  http::Router router;
  add_common_rules(router);
  guard(router, shared->gate, need_of);
  add_system_routes(router, shared);
  add_cache_routes(router, shared);
  add_job_routes(router, shared);
  add_cache_job_routes(router, shared);
  add_model_routes(router, shared);
  add_config_routes(router, shared);
  add_update_routes(router, shared);
  add_model_update_routes(router, shared);
  add_relocation_routes(router, shared);
  add_orchestration_routes(router, shared);
  add_engine_routes(router, shared);
  add_generation_routes(router, shared);
  add_request_routes(router, shared);
  add_analytics_routes(router, shared);
  add_run_analytics_routes(router, shared);
  add_run_export_route(router, shared);
  add_metrics_route(router, shared);
  add_explain_route(router, shared);
  add_openai_routes(router, shared);
  add_llama_router_routes(router, shared);
  add_ollama_routes(router, shared);
  add_mirror_routes(router, "/hub", shared->mirror);
  add_page_routes(router, shared->version);
  return router;
}

http::Router make_mirror_router(mirror::Mirror const& mirror,
                                std::shared_ptr<access::Gate> const& gate) {
  http::Router router;
  add_common_rules(router);
  guard(router, gate, need_of_mirror);
  add_health_route(router);
  add_mirror_routes(router, "", mirror);
  return router;
}

}  // namespace homelab::api
