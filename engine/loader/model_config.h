#pragma once
// config.json of a snapshot, checked: what the model is and its sizes.
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "loader/architecture.h"
#include "loader/rope_config.h"

namespace homelab::loader {

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
  std::uint32_t experts = 0;  ///< 0: none
  std::uint32_t experts_used = 0;
  std::uint32_t expert_feed_forward_size = 0;
  float norm_epsilon = 0;
  RopeConfig rope{};
  std::uint32_t window = 0;                   ///< of the layers below; 0: no layer has one
  std::vector<std::int32_t> window_layers{};  ///< 1 for each layer with a window, else 0
  std::vector<std::pair<std::string_view, float>> scalars{};  ///< llama.cpp's key and the value
  bool tied_embeddings = false;

  /// How long config.json makes a dimension.
  [[nodiscard]] std::uint64_t size(Size what) const;
};

/// The fields of config.json behind a dimension: "'num_attention_heads' x 'head_dim'".
[[nodiscard]] std::string_view fields_of(Size what);

/// Reads FOLDER/config.json as JSON. Errors: kNotFound, kInvalidArgument.
[[nodiscard]] Result<json::object> read_config(std::filesystem::path const& folder);

/// Class and type, without any further demand.
[[nodiscard]] ModelConfig identify(json::object const& config);

/// The description for this configuration. Errors: kUnimplemented naming the architecture and what
/// would work.
[[nodiscard]] Result<Architecture const*> require_architecture(ModelConfig const& config);

/// Every number this loader needs. Errors: kInvalidArgument naming the field, kUnimplemented for a
/// feature that would change the result (quantised weights, another activation, an unknown rope
/// type).
[[nodiscard]] Result<ModelConfig> parse_config(json::object const& config,
                                               Architecture const& architecture);

}  // namespace homelab::loader
