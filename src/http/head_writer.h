#pragma once
// The head of an answer as bytes.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace homelab::http {

/// How the body is delimited and what happens to the connection afterwards; the server alone
/// decides this.
struct Framing {
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
  bool say_keep_alive = false;  ///< HTTP/1.0 clients need to be told
};

/// "HTTP/1.1 200 OK" and all fields. A field whose name or value could break out of its line is
/// left out and logged. Fields that belong to Framing (Connection, Content-Length,
/// Transfer-Encoding) are ignored in `headers`.
[[nodiscard]] std::string write_head(int status, Headers const& headers, Framing const& framing);

/// False for statuses that never have a body (1xx, 204, 304).
[[nodiscard]] bool may_have_body(int status);

[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace homelab::http
