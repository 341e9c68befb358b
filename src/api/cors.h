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

/// The 403 for a browser's request that comes from a page of another origin; nullopt for all other
/// requests. For our own routes that change files: the original had none, so no page relies on
/// them, and a page that a user merely visits must not delete their models.
[[nodiscard]] std::optional<http::Response> refuse_other_origin(http::Request const& request);

}  // namespace homelab::api
