#pragma once
// Rows that several families share. Every name is that of the reference implementation's module
// tree.
#include <algorithm>
#include <array>

#include "loader/architecture.h"

namespace homelab::loader {

template <std::size_t... kCounts>
[[nodiscard]] constexpr auto join(std::array<TensorRule, kCounts> const&... parts) {
  std::array<TensorRule, (kCounts + ...)> all{};
  auto next = all.begin();
  ((next = std::copy(parts.begin(), parts.end(), next)), ...);
  return all;
}

[[nodiscard]] constexpr TensorRule vector(std::string_view from, std::string_view to, Size size) {
  return {.from = from, .to = to, .rows = size};
}

[[nodiscard]] constexpr TensorRule matrix(std::string_view from, std::string_view to, Size rows,
                                          Size columns, RowOrder order = RowOrder::kSame) {
  return {.from = from, .to = to, .rows = rows, .columns = columns, .order = order};
}

[[nodiscard]] constexpr TensorRule maybe(TensorRule rule) {
  rule.optional = true;
  return rule;
}

[[nodiscard]] constexpr TensorRule plus_one(TensorRule rule) {
  rule.plus_one = true;
  return rule;
}

inline constexpr std::array kEnds = {
    matrix("model.embed_tokens.weight", "token_embd.weight", Size::kVocabulary, Size::kHidden),
    vector("model.norm.weight", "output_norm.weight", Size::kHidden),
};

/// Both norms before what they belong to.
inline constexpr std::array kNormsBefore = {
    vector("model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", Size::kHidden),
    vector("model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight",
           Size::kHidden),
};

/// llama.cpp rotates adjacent pairs, the checkpoint halves: query and key rows are reordered.
inline constexpr std::array kPairedAttention = {
    matrix("model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", Size::kQuery,
           Size::kHidden, RowOrder::kPairedQuery),
    matrix("model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight", Size::kKey,
           Size::kHidden, RowOrder::kPairedKey),
    matrix("model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight", Size::kKey,
           Size::kHidden),
    matrix("model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight", Size::kHidden,
           Size::kQuery),
};

inline constexpr std::array kPairedAttentionBiases = {
    TensorRule{.from = "model.layers.{}.self_attn.q_proj.bias",
               .to = "blk.{}.attn_q.bias",
               .rows = Size::kQuery,
               .order = RowOrder::kPairedQuery,
               .optional = true},
    TensorRule{.from = "model.layers.{}.self_attn.k_proj.bias",
               .to = "blk.{}.attn_k.bias",
               .rows = Size::kKey,
               .order = RowOrder::kPairedKey,
               .optional = true},
    maybe(vector("model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias", Size::kKey)),
    maybe(
        vector("model.layers.{}.self_attn.o_proj.bias", "blk.{}.attn_output.bias", Size::kHidden)),
};

/// Halves on both sides: nothing is reordered.
inline constexpr std::array kAttention = {
    matrix("model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight", Size::kQuery,
           Size::kHidden),
    matrix("model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight", Size::kKey,
           Size::kHidden),
    matrix("model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight", Size::kKey,
           Size::kHidden),
    matrix("model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight", Size::kHidden,
           Size::kQuery),
};

/// A norm of each query and key head, the same for all heads.
inline constexpr std::array kHeadNorms = {
    vector("model.layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight", Size::kHead),
    vector("model.layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight", Size::kHead),
};

inline constexpr std::array kFeedForward = {
    matrix("model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight", Size::kFeedForward,
           Size::kHidden),
    matrix("model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight", Size::kFeedForward,
           Size::kHidden),
    matrix("model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight", Size::kHidden,
           Size::kFeedForward),
};

inline constexpr std::array kFeedForwardBiases = {
    maybe(vector("model.layers.{}.mlp.gate_proj.bias", "blk.{}.ffn_gate.bias", Size::kFeedForward)),
    maybe(vector("model.layers.{}.mlp.up_proj.bias", "blk.{}.ffn_up.bias", Size::kFeedForward)),
    maybe(vector("model.layers.{}.mlp.down_proj.bias", "blk.{}.ffn_down.bias", Size::kHidden)),
};

/// The router, in single precision, and one matrix of every expert, stacked.
[[nodiscard]] constexpr TensorRule router(std::string_view from) {
  return {.from = from,
          .to = "blk.{}.ffn_gate_inp.weight",
          .rows = Size::kExperts,
          .columns = Size::kHidden,
          .single = true};
}

[[nodiscard]] constexpr TensorRule expert(std::string_view from, std::string_view to, Size rows,
                                          Size columns) {
  return {.from = from, .to = to, .rows = rows, .columns = columns, .stack = Stack::kExperts};
}

}  // namespace homelab::loader
