#pragma once
// Cross-origin fields of the original's form (contract §2.0), for the pages that the owner allows.
#include <optional>

#include "access/origin_rule.h"
#include "http/message.h"

namespace homelab::api {

/// The answer to a preflight; nullopt when the request is none.
[[nodiscard]] std::optional<http::Response> preflight(http::Request const& request,
                                                      access::OriginRule const& origins);
/// Adds the fields that a page of another origin needs to read the answer, if it may.
void add_cors(http::Request const& request, access::OriginRule const& origins,
              http::Headers& headers);

}  // namespace homelab::api
