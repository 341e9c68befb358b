#pragma once
// A row's `load_config`: what is asked for when this model is loaded. Pure.
// Rule: the original merged these keys into the arguments of transformers' from_pretrained
// (contract §6); here each key does what it meant there, or is refused with a reason.
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/external_engine.h"

namespace homelab::engine {

struct LoadConfig {
  std::string dtype;      ///< "bfloat16": the type the weights must have; empty = as stored
  std::string quantised;  ///< "Q8_0": weights of safetensors are stored so in memory
  std::optional<int> gpu_layers;
  std::optional<unsigned> context_tokens;  ///< per slot
  std::optional<unsigned> slots;
  std::string flash_attention;         ///< "on", "off", or empty for the engine's choice
  std::optional<EngineChoice> engine;  ///< not ours; then only `context_tokens` has a meaning
};

/// nullopt, an empty text and `{}` ask for nothing. Errors: kInvalidArgument or kUnimplemented
/// naming the key, and what to do.
[[nodiscard]] Result<LoadConfig> parse_load_config(std::optional<std::string> const& text);

/// Whether `wanted` (LoadConfig::dtype) is what the model has (`stored`: "torch.bfloat16",
/// "Q4_K_M"). Error: kUnimplemented with both.
[[nodiscard]] Status check_dtype(std::string const& wanted, std::string const& stored);

}  // namespace homelab::engine
