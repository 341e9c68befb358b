#pragma once
// The rotary embedding as config.json describes it, in its older and its newer form.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "loader/architecture.h"

namespace homelab::loader {

/// How positions beyond the trained context are treated.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kYarn, kLongrope, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1.0;
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  std::uint32_t original_context = 8192;  ///< of the training
  double attention_factor = 1.0;          ///< what llama.cpp has to multiply its own factor with
  std::vector<float> short_factors{};     ///< longrope: per frequency, up to the original context
  std::vector<float> long_factors{};      ///< longrope: per frequency, beyond it
};

struct RopeConfig {
  float base = 0;
  float window_base = 0;          ///< of layers with a window
  std::uint32_t rotary_size = 0;  ///< how much of each head is rotated
  RopeScaling scaling{};
};

/// `head_size` and `context_length` as config.json has them. Errors: kInvalidArgument naming the
/// field, kUnimplemented for what llama.cpp does not compute for this architecture.
[[nodiscard]] Result<RopeConfig> parse_rope(json::object const& config,
                                            Architecture const& architecture,
                                            std::uint32_t head_size, std::uint32_t context_length);

/// The factor for each rotary frequency pair under llama3 scaling (rotary_size / 2 numbers), in
/// single precision as the reference implementation computes them.
[[nodiscard]] std::vector<float> llama3_rope_factors(RopeConfig const& rope);

}  // namespace homelab::loader
