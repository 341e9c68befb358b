// Generations that run or wait: the list, and the end of one from elsewhere.
#include <fmt/format.h>

#include <map>

#include "cors.h"
#include "dialects.h"
#include "replies.h"
#include "request_book.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

json::object request_json(RequestView const& request, json::value position) {
  return {{"id", request.id},
          {"path", request.path},
          {"model", request.model.empty() ? json::value() : json::value(request.model)},
          {"state", position.is_null() ? "running" : "waiting"},
          {"queue_position", std::move(position)},
          {"since", to_iso_utc(request.since)}};
}

/// A model works on its requests in the order in which they came, so its first ones are those that
/// its engine has.
json::array list_of(Services const& services) {
  std::map<std::string, std::uint64_t> active;
  std::string current;
  for (auto const& model : services.engines.all_loaded()) {
    active[model.name] = model.active_requests;
    if (model.current) current = model.name;
  }
  json::array out;
  std::int64_t waiting = 0;
  for (auto request : services.requests->list()) {
    if (request.model.empty()) request.model = current;
    auto& places = active[request.model];
    bool const running = request.heard || places > 0;
    if (places > 0) --places;
    out.push_back(request_json(request, running ? json::value() : json::value(++waiting)));
  }
  return out;
}

Reply cancel(Services const& services, Request const& request) {
  auto const id = request.path_value("id");
  if (!services.requests->cancel(id))
    return detail_reply(404, fmt::format("there is no request '{}' that runs or waits", id));
  return json_reply(
      200, json::object{{"message", fmt::format("Request '{}' was cancelled", id)}, {"id", id}});
}

}  // namespace

void add_request_routes(http::Router& router, SharedServices const& services) {
  router.add("GET", "/api/requests", [services](Request const&) {
    return Reply(json_reply(200, json::object{{"requests", list_of(*services)}}));
  });
  router.add("DELETE", "/api/requests/{id}",
             [services](Request const& request) { return cancel(*services, request); });
  router.add("POST", "/api/requests/{id}/cancel",
             [services](Request const& request) { return cancel(*services, request); });
}

}  // namespace homelab::api
