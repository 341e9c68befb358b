#pragma once
// Cross-origin rules of the original: any origin, method and header (contract §2.0).
#include <optional>
#include <vector>

#include "http/message.h"

namespace homelab::api {

/// The answer to a preflight; nullopt when the request is none.
[[nodiscard]] std::optional<http::Response> preflight(http::Request const& request);
/// Adds the fields that a cross-origin request gets with every answer.
void add_cors(http::Request const& request, http::Headers& headers);

}  // namespace homelab::api
