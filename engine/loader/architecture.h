#pragma once
// What safetensors of each architecture mean, as data. One file per family in architectures/; to
// add one, write its description there, name it in architectures/families.h and architecture.cpp,
// and compare its logits with those of an independent implementation in tests/engine.
#include <cstdint>
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

/// What config.json says about the length of a dimension.
enum class Size {
  kOne,  ///< no such dimension: a vector
  kVocabulary,
  kHidden,
  kFeedForward,
  kTwoFeedForwards,    ///< gate and up in one tensor
  kExpertFeedForward,  ///< of one expert
  kQuery,              ///< query heads x head size
  kKey,                ///< key heads x head size
  kQueryKeyValue,      ///< query, key and value in one tensor
  kHead,
  kExperts,
};

/// Tensors that are many in the checkpoint and one, with one dimension more, in llama.cpp.
enum class Stack { kNone, kExperts, kQueryHeads, kKeyHeads };

/// One tensor. The first `{}` in a name stands for the layer's number, the second for the number in
/// the stack.
struct TensorRule {
  std::string_view from{};  ///< name in the safetensors
  std::string_view to{};    ///< name in llama.cpp
  Size rows = Size::kOne;
  Size columns = Size::kOne;
  RowOrder order = RowOrder::kSame;
  Stack stack = Stack::kNone;
  bool optional = false;
  /// Needed if this field of config.json is true (with '!' before it: if it is not), else it must
  /// not be there.
  std::string_view only_if{};
  bool plus_one = false;  ///< the checkpoint stores the difference to 1
  bool single = false;    ///< in single precision, though it is not a vector
};

/// A number of config.json that goes to llama.cpp.
struct ScalarRule {
  std::string_view from{};  ///< field of config.json
  std::string_view to{};    ///< llama.cpp's key, without the architecture
  /// What an absent field means. 0: llama.cpp gets no such key (then the field may also be null).
  double absent = 0;
};

/// A field of config.json of which llama.cpp knows only one value.
struct FixedRule {
  enum class Must { kBeFalse, kBeTrue, kBeNull, kBeOne, kBeEmpty };
  std::string_view field{};
  Must must = Must::kBeFalse;  ///< an absent field is false, null, 1 and empty
};

/// Fields of config.json about experts; empty names: no experts.
struct ExpertRule {
  std::string_view count{};
  std::string_view other_count{};  ///< another name of the same field
  std::string_view used{};
  std::string_view size{};  ///< rows of one expert's feed-forward matrices
  /// Whether llama.cpp wants that size as a key of its own.
  bool has_own_size = false;
};

/// The attention's scale, where it is a field of config.json, but built into llama.cpp: 1/sqrt(head
/// size), except that models with `layers_of_largest` layers divide by sqrt(hidden size/heads).
struct QueryScaleRule {
  std::string_view field{};
  double absent = 0;
  std::uint32_t layers_of_largest = 0;
};

/// What "sliding_window" means.
enum class Window {
  kNone,           ///< nothing: every layer sees everything
  kLimitsContext,  ///< llama.cpp has no window here; inside it full attention is the same thing
  kPerLayer,       ///< the layers that "layer_types" names
};

/// Rope scaling that llama.cpp knows for an architecture.
struct RopeKinds {
  bool linear = true;
  bool yarn = true;
  bool longrope = false;
  bool llama3 = false;
};

/// Defaults are what most architectures have. Defaults of numbers are those of the reference
/// implementation's configuration classes.
struct Architecture {
  std::string_view class_name{};  ///< in config.json "architectures"
  std::string_view model_type{};  ///< in config.json "model_type"
  std::string_view gguf_name{};   ///< llama.cpp's name, prefix of its hyperparameters
  std::span<TensorRule const> rules{};
  std::span<ScalarRule const> scalars{};
  std::span<FixedRule const> fixed{};
  std::string_view activation_field = "hidden_act";
  std::string_view activation = "silu";
  std::string_view epsilon_field = "rms_norm_eps";
  std::string_view epsilon_key = "attention.layer_norm_rms_epsilon";
  double epsilon = 1e-6;
  std::uint32_t head_size = 0;     ///< if config.json has none; 0: hidden size / heads
  bool heads_fill_hidden = false;  ///< llama.cpp demands heads x head size = hidden size
  bool tied = false;               ///< if config.json does not say "tie_word_embeddings"
  bool own_output = false;         ///< llama.cpp wants an output matrix even if it is the embedding
  double rope_base = 10000.0;
  RopeKinds rope_kinds{};
  double rotary_part = 1.0;           ///< if config.json has no "partial_rotary_factor"
  bool partial_rotary = false;        ///< whether llama.cpp can rotate a part of a head
  std::uint32_t unrotated_every = 0;  ///< every n-th layer has no rotary embedding; 0: all have
  Window window = Window::kNone;
  std::uint32_t window_absent = 0;  ///< kPerLayer: the window if config.json has none
  std::uint32_t full_every = 0;     ///< kPerLayer: every n-th layer sees everything
  double window_rope_base = 0;      ///< of layers with a window; 0: that of all layers
  ExpertRule experts{};
  QueryScaleRule query_scale{};
};

/// nullptr if there is no such class (or, when `class_name` is empty, no such type).
[[nodiscard]] Architecture const* find_architecture(std::string_view class_name,
                                                    std::string_view model_type);

/// The class name that usually goes with llama.cpp's architecture name; empty if unknown.
[[nodiscard]] std::string_view class_of_gguf_name(std::string_view gguf_name);

/// "LlamaForCausalLM, MistralForCausalLM": for messages.
[[nodiscard]] std::string known_architectures();

}  // namespace homelab::loader
