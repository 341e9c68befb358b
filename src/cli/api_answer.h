#pragma once
// The server's answers as values and errors. Pure.
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace homelab::cli {

/// Error for an answer with a status >= 400: the server's own words ("detail" of the /api dialect,
/// a text or a list of field errors; "error"."message" of the /v1 dialect), else the status and the
/// start of the body.
[[nodiscard]] Error error_of_answer(int status, std::string_view body);

/// The body of a successful answer as JSON; kDataLoss when it is none (some other program listens
/// there).
[[nodiscard]] Result<json::value> value_of_answer(std::string_view body);

/// Where a client reaches a server that listens on `host`: "http://127.0.0.1:8000" also for
/// "0.0.0.0", "" and "::", IPv6 addresses in brackets.
[[nodiscard]] std::string base_url_of(std::string_view host, int port);

}  // namespace homelab::cli
