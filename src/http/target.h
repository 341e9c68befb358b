#pragma once
// The request target of a request line (RFC 9112 §3.2), from anybody on the network.
#include <string_view>

#include "base/result.h"

namespace homelab::http {

/// Views into the text that was parsed.
struct Target {
  std::string_view path;   ///< raw, begins with '/' (or is "*")
  std::string_view query;  ///< raw, without '?'
};

/// Takes "/path?query", "http://host/path?query" (as sent to proxies) and "*".
/// kInvalidArgument for blanks, control characters, '#', a broken %-escape in the path, anything
/// else.
[[nodiscard]] Result<Target> parse_target(std::string_view text);

}  // namespace homelab::http
