#include "cors.h"

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "replies.h"

namespace homelab::api {
namespace {

constexpr std::array<std::string_view, 7> kMethods{"DELETE", "GET",  "HEAD", "OPTIONS",
                                                   "PATCH",  "POST", "PUT"};

}  // namespace

std::optional<http::Response> preflight(http::Request const& request) {
  auto const origin = request.headers.find("origin");
  auto const method = request.headers.find("access-control-request-method");
  if (request.method != "OPTIONS" || !origin || !method) return std::nullopt;
  bool const allowed = std::find(kMethods.begin(), kMethods.end(), *method) != kMethods.end();
  auto response = text_reply(allowed ? 200 : 400, allowed ? "OK" : "Disallowed CORS method");
  response.headers.set("access-control-allow-origin", *origin);
  response.headers.set("access-control-allow-credentials", "true");
  response.headers.set("access-control-allow-methods",
                       "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
  response.headers.set("access-control-max-age", "600");
  if (auto const headers = request.headers.find("access-control-request-headers"))
    response.headers.set("access-control-allow-headers", *headers);
  response.headers.set("vary", "Origin");
  return response;
}

std::optional<http::Response> refuse_other_origin(http::Request const& request) {
  auto const origin = request.headers.find("origin");
  if (!origin) return std::nullopt;
  auto const host = request.headers.find("host").value_or("");
  auto const scheme = origin->find("://");
  if (scheme != std::string::npos && !host.empty() &&
      to_lower(origin->substr(scheme + 3)) == to_lower(host))
    return std::nullopt;
  return detail_reply(403,
                      "Only the server's own page and programs may do this; the request comes from "
                      "a page of another origin");
}

void add_cors(http::Request const& request, http::Headers& headers) {
  auto const origin = request.headers.find("origin");
  if (!origin || headers.find("access-control-allow-origin")) return;
  // A browser refuses "*" for a request with cookies.
  bool const cookies = request.headers.find("cookie").has_value();
  headers.set("access-control-allow-origin", cookies ? *origin : "*");
  headers.set("access-control-allow-credentials", "true");
  if (cookies) headers.add("vary", "Origin");
}

}  // namespace homelab::api
