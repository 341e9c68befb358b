#pragma once
// What each route asks of its caller: one table for all dialects.
#include <span>
#include <string_view>

#include "access/gate.h"

namespace homelab::api {

struct RouteNeed {
  std::string_view method;
  std::string_view pattern;  ///< as given to Router::add()
  access::Need need;
};

/// Every route of the server but the Hub's; a test holds it to the router.
[[nodiscard]] std::span<RouteNeed const> route_needs();

/// kManage for a route that nobody wrote into the table; kOpen where there is no route at all (the
/// answer is then 404 or 405).
[[nodiscard]] access::Need need_of(std::string_view method, std::string_view pattern);

}  // namespace homelab::api
