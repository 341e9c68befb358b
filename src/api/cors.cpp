#include "cors.h"

#include <algorithm>
#include <array>

#include "replies.h"

namespace homelab::api {
namespace {

constexpr std::array<std::string_view, 7> kMethods{"DELETE", "GET",  "HEAD", "OPTIONS",
                                                   "PATCH",  "POST", "PUT"};

http::Response disallowed(std::string_view what) {
  auto response = text_reply(400, "Disallowed CORS " + std::string(what));
  response.headers.set("vary", "Origin");
  return response;
}

}  // namespace

std::optional<http::Response> preflight(http::Request const& request,
                                        access::OriginRule const& origins) {
  auto const origin = request.headers.find("origin");
  auto const method = request.headers.find("access-control-request-method");
  if (request.method != "OPTIONS" || !origin || !method) return std::nullopt;
  if (!origins.allows(*origin, request.headers.find("host").value_or("")))
    return disallowed("origin");
  bool const allowed = std::find(kMethods.begin(), kMethods.end(), *method) != kMethods.end();
  auto response = allowed ? text_reply(200, "OK") : disallowed("method");
  response.headers.set("access-control-allow-origin", *origin);
  response.headers.set("access-control-allow-credentials", "true");
  response.headers.set("access-control-allow-methods",
                       "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
  response.headers.set("access-control-max-age", "600");
  if (auto const headers = request.headers.find("access-control-request-headers"))
    response.headers.set("access-control-allow-headers", *headers);
  if (request.headers.find("access-control-request-private-network"))
    response.headers.set("access-control-allow-private-network", "true");
  response.headers.set("vary", "Origin");
  return response;
}

void add_cors(http::Request const& request, access::OriginRule const& origins,
              http::Headers& headers) {
  auto const origin = request.headers.find("origin");
  if (!origin || headers.find("access-control-allow-origin")) return;
  if (!origins.any()) headers.add("vary", "Origin");
  if (!origins.allows(*origin, request.headers.find("host").value_or(""))) return;
  // A browser refuses "*" for a request with cookies.
  bool const cookies = request.headers.find("cookie").has_value();
  bool const everybody = origins.any() && !cookies;
  headers.set("access-control-allow-origin", everybody ? "*" : *origin);
  headers.set("access-control-allow-credentials", "true");
  if (origins.any() && cookies) headers.add("vary", "Origin");
}

}  // namespace homelab::api
