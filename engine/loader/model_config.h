#pragma once
// config.json of a snapshot, checked: what the model is and its sizes.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "loader/architecture.h"

namespace homelab::loader {

/// How positions beyond the trained context are treated.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1.0;
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  double original_context = 8192.0;
};

struct ModelConfig {
  std::string class_name;  ///< "LlamaForCausalLM"; empty if config.json has no "architectures"
  std::string model_type;  ///< "llama"
  std::string dtype;       ///< "bfloat16" as config.json says it; may be empty
  std::uint32_t layers = 0;
  std::uint32_t hidden_size = 0;
  std::uint32_t feed_forward_size = 0;
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_size = 0;
  std::uint32_t context_length = 0;
  std::uint32_t vocabulary_size = 0;
  float norm_epsilon = 0;
  float rope_base = 0;
  RopeScaling rope;
  bool tied_embeddings = false;
};

/// Reads FOLDER/config.json as JSON. Errors: kNotFound, kInvalidArgument.
[[nodiscard]] Result<json::object> read_config(std::filesystem::path const& folder);

/// Class and type, without any further demand.
[[nodiscard]] ModelConfig identify(json::object const& config);

/// The row of the table for this configuration. Errors: kUnimplemented naming the architecture and
/// what would work.
[[nodiscard]] Result<Architecture const*> require_architecture(ModelConfig const& config);

/// Every number this loader needs. Errors: kInvalidArgument naming the field, kUnimplemented for a
/// feature that would change the result (quantised weights, another activation, an unknown rope
/// type).
[[nodiscard]] Result<ModelConfig> parse_config(json::object const& config);

/// The factor for each rotary frequency pair under llama3 scaling (head_size / 2 numbers), in
/// single precision as the reference implementation computes them.
[[nodiscard]] std::vector<float> llama3_rope_factors(ModelConfig const& config);

}  // namespace homelab::loader
