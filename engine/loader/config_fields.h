#pragma once
// Readers for fields of config.json that say in the error which field is wrong.
#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace homelab::loader {

/// kInvalidArgument: "config.json: 'FIELD' must be EXPECTED".
[[nodiscard]] tl::unexpected<Error> bad_field(std::string_view field, std::string_view expected);

/// kUnimplemented: "config.json: WHAT is not supported from safetensors; ...".
[[nodiscard]] tl::unexpected<Error> unsupported_field(std::string_view what);

/// False if the field is absent or null.
[[nodiscard]] bool has_field(json::object const& config, std::string_view name);

/// A whole number from 1 to `maximum`; `fallback` if the field is absent or null.
[[nodiscard]] Result<std::uint32_t> size_field(json::object const& config, std::string_view name,
                                               std::int64_t fallback, std::int64_t maximum);

/// A number above 0 that single precision can hold; `fallback` likewise.
[[nodiscard]] Result<float> positive_field(json::object const& config, std::string_view name,
                                           double fallback);

}  // namespace homelab::loader
