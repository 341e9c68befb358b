#pragma once
// Boost.JSON with bounds, and readers that give Result instead of throwing.
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace homelab {

namespace json = boost::json;

/// Parses one JSON text. Errors (kInvalidArgument) carry the byte offset. `max_depth` bounds
/// nesting.
[[nodiscard]] Result<json::value> parse_json(std::string_view text, std::size_t max_depth = 64);

/// Member readers for objects that come from outside: absent, null or of another type gives
/// nullopt.
[[nodiscard]] std::optional<std::string> get_string(json::object const& object,
                                                    std::string_view key);
[[nodiscard]] std::optional<std::int64_t> get_int(json::object const& object, std::string_view key);
[[nodiscard]] std::optional<double> get_double(json::object const& object, std::string_view key);
[[nodiscard]] std::optional<bool> get_bool(json::object const& object, std::string_view key);
/// Pointer into `object`, or nullptr.
[[nodiscard]] json::object const* get_object(json::object const& object, std::string_view key);
[[nodiscard]] json::array const* get_array(json::object const& object, std::string_view key);

/// Compact text with everything outside ASCII as \uXXXX (UTF-16 surrogate pairs), as the original's
/// event streams.
[[nodiscard]] std::string to_ascii_json(json::value const& value);

}  // namespace homelab
