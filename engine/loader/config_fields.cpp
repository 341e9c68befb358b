#include "loader/config_fields.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace homelab::loader {

tl::unexpected<Error> bad_field(std::string_view field, std::string_view expected) {
  return fail(Code::kInvalidArgument, fmt::format("config.json: '{}' must be {}", field, expected));
}

tl::unexpected<Error> unsupported_field(std::string_view what) {
  return fail(
      Code::kUnimplemented,
      fmt::format("config.json: {} is not supported from safetensors; use a GGUF of this model",
                  what));
}

bool has_field(json::object const& config, std::string_view name) {
  auto const* value = config.if_contains(name);
  return value != nullptr && !value->is_null();
}

Result<std::uint32_t> size_field(json::object const& config, std::string_view name,
                                 std::int64_t fallback, std::int64_t maximum) {
  auto const number = has_field(config, name) ? get_int(config, name) : std::optional(fallback);
  if (!number || *number < 1 || *number > maximum)
    return bad_field(name, fmt::format("a whole number from 1 to {}", maximum));
  return static_cast<std::uint32_t>(*number);
}

Result<float> positive_field(json::object const& config, std::string_view name, double fallback) {
  double const number =
      has_field(config, name)
          ? get_double(config, name).value_or(std::numeric_limits<double>::quiet_NaN())
          : fallback;
  auto const single = static_cast<float>(number);
  if (!(single > 0) || !std::isfinite(single)) return bad_field(name, "a number above 0");
  return single;
}

}  // namespace homelab::loader
