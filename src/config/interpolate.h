#pragma once
// ${VAR} in a value of a .env file, with compose's operators.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/dotenv.h"

namespace homelab::config {

struct Interpolation {
  Lookup lookup;                                 ///< environment first, then earlier lines
  std::vector<std::string>* warnings = nullptr;  ///< without line numbers
  std::size_t limit_bytes = 0;                   ///< bound of the result (kResourceExhausted above)
};

/// Replaces $VAR, ${VAR}, ${VAR:-d}, ${VAR-d}, ${VAR:?m}, ${VAR?m}, ${VAR:+o}, ${VAR+o} and $$ in
/// `text`; an operand may hold further references. A '$' before anything else stays. An unset name
/// gives "" and a warning.
[[nodiscard]] Result<std::string> interpolate(std::string_view text, Interpolation const& rules);

}  // namespace homelab::config
