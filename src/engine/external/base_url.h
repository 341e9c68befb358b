#pragma once
// The base URL of an OpenAI-compatible server. Pure.
#include <string>
#include <string_view>

#include "base/result.h"

namespace homelab::engine {

/// "http://nas:8080/v1/" becomes "http://nas:8080": clients write it both ways. kInvalidArgument
/// for anything but http and https, and for user names, passwords, queries and fragments.
[[nodiscard]] Result<std::string> parse_base_url(std::string_view text);

/// Whether the URL leads to this machine's own loopback ("127.x.x.x", "[::1]", "localhost").
[[nodiscard]] bool is_loopback(std::string_view base_url);

}  // namespace homelab::engine
