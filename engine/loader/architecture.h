#pragma once
// What safetensors of each architecture mean, as data: to add one, add rows to the table in
// architecture.cpp and a test that compares its logits with an independent implementation.
#include <span>
#include <string>
#include <string_view>

namespace homelab::loader {

/// How the rows of a tensor have to be ordered for llama.cpp.
enum class RowOrder {
  kSame,
  kPairedQuery,  ///< rotary halves interleaved per query head: row r of a head comes from
                 ///< (r%2)*(size/2) + r/2
  kPairedKey,    ///< likewise per key head
};

/// One tensor. `{}` in a name stands for the layer's number.
struct TensorRule {
  std::string_view from;  ///< name in the safetensors
  std::string_view to;    ///< name in llama.cpp
  RowOrder order = RowOrder::kSame;
  bool optional = false;
};

struct Architecture {
  std::string_view class_name;  ///< in config.json "architectures"
  std::string_view model_type;  ///< in config.json "model_type"
  std::string_view gguf_name;   ///< llama.cpp's name, prefix of its hyperparameters
  std::span<TensorRule const> rules;
};

/// nullptr if the table has no such class (or, when `class_name` is empty, no such type).
[[nodiscard]] Architecture const* find_architecture(std::string_view class_name,
                                                    std::string_view model_type);

/// The class name that usually goes with llama.cpp's architecture name; empty if unknown.
[[nodiscard]] std::string_view class_of_gguf_name(std::string_view gguf_name);

/// "LlamaForCausalLM, MistralForCausalLM": for messages.
[[nodiscard]] std::string known_architectures();

}  // namespace homelab::loader
