#pragma once
// Durations as people and other programs write them.
#include <chrono>
#include <optional>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace homelab::api {

/// "90", "90s", "5m", "1h30m", "250ms" (cut to whole seconds), "-1" and "-1s" (below zero); nullopt
/// for anything else and for more than 1e9 seconds.
[[nodiscard]] std::optional<std::chrono::seconds> parse_duration(std::string_view text);

/// The member "keep_alive" of a request, as Ollama's clients send it: seconds or a duration; 0 = at
/// once, below zero = for ever; absent or null = none. Error: kInvalidArgument.
[[nodiscard]] Result<std::optional<std::chrono::seconds>> read_keep_alive(
    json::object const& request);

}  // namespace homelab::api
