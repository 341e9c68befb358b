#pragma once
// Durations as people and other programs write them.
#include <chrono>
#include <optional>
#include <string_view>

namespace homelab::api {

/// "90", "90s", "5m", "1h30m", "250ms" (cut to whole seconds), "-1" and "-1s" (below zero); nullopt
/// for anything else and for more than 1e9 seconds.
[[nodiscard]] std::optional<std::chrono::seconds> parse_duration(std::string_view text);

}  // namespace homelab::api
