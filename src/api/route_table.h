#pragma once
// What the server answers to, for people: the source of /docs and /openapi.json. A test holds it to
// the router and to docs/api.md.
#include <span>
#include <string>
#include <string_view>

namespace homelab::api {

struct RouteNote {
  std::string_view method;
  std::string_view path;  ///< with {parameters}
  std::string_view group;
  std::string_view purpose;  ///< one sentence
  std::string_view request;  ///< an example body or query, or empty
  std::string_view success;  ///< "200 object"
};

[[nodiscard]] std::span<RouteNote const> route_table();

/// The /docs page: complete HTML without scripts or outside resources.
[[nodiscard]] std::string docs_html(std::string_view version);
/// OpenAPI 3.1 document: paths, methods, purposes.
[[nodiscard]] std::string openapi_json(std::string_view version);

}  // namespace homelab::api
