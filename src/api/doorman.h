#pragma once
// Where HTTP meets access: what the gate needs is read from a request's head, and what it decides
// becomes an answer in the words of the request's dialect.
#include <memory>

#include "access/gate.h"
#include "http/router.h"

namespace homelab::api {

/// What a route of the router asks of its caller.
using NeedOf = access::Need (*)(std::string_view method, std::string_view pattern);

/// Lets the gate look at every request of the router, and adds the cross-origin fields.
void guard(http::Router& router, std::shared_ptr<access::Gate> const& gate, NeedOf need_of);

/// {"error": {...}} for /v1 and its kin, {"type": "error"} for Anthropic's calls, {"error": "..."}
/// for Ollama's and the Hub's, {"detail": "..."} for all others.
[[nodiscard]] http::Response refusal_in_dialect(std::string_view path, int status,
                                                std::string_view reason);

}  // namespace homelab::api
