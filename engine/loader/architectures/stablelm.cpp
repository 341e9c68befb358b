#include "loader/architectures/families.h"
#include "loader/architectures/rules.h"

namespace homelab::loader {
namespace {

[[nodiscard]] constexpr TensorRule only_if(std::string_view field, TensorRule rule) {
  rule.only_if = field;
  return rule;
}

[[nodiscard]] constexpr TensorRule head_norms(std::string_view from, std::string_view to,
                                              Stack heads) {
  return {.from = from,
          .to = to,
          .rows = Size::kHead,
          .stack = heads,
          .only_if = "qk_layernorm",
          .single = true};
}

// Layer norms (with a mean and a bias). With the parallel residual, feed-forward and attention
// share one.
constexpr std::array kNorms = {
    vector("model.norm.bias", "output_norm.bias", Size::kHidden),
    vector("model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", Size::kHidden),
    vector("model.layers.{}.input_layernorm.bias", "blk.{}.attn_norm.bias", Size::kHidden),
    only_if("!use_parallel_residual", vector("model.layers.{}.post_attention_layernorm.weight",
                                             "blk.{}.ffn_norm.weight", Size::kHidden)),
    only_if("!use_parallel_residual", vector("model.layers.{}.post_attention_layernorm.bias",
                                             "blk.{}.ffn_norm.bias", Size::kHidden)),
    head_norms("model.layers.{}.self_attn.q_layernorm.norms.{}.weight", "blk.{}.attn_q_norm.weight",
               Stack::kQueryHeads),
    head_norms("model.layers.{}.self_attn.k_layernorm.norms.{}.weight", "blk.{}.attn_k_norm.weight",
               Stack::kKeyHeads),
};

constexpr std::array kBiases = {
    only_if("use_qkv_bias",
            vector("model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias", Size::kQuery)),
    only_if("use_qkv_bias",
            vector("model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias", Size::kKey)),
    only_if("use_qkv_bias",
            vector("model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias", Size::kKey)),
};

constexpr auto kRules = join(kEnds, kNorms, kAttention, kBiases, kFeedForward);

}  // namespace

constinit Architecture const kStableLm = {.class_name = "StableLmForCausalLM",
                                          .model_type = "stablelm",
                                          .gguf_name = "stablelm",
                                          .rules = kRules,
                                          .epsilon_field = "layer_norm_eps",
                                          .epsilon_key = "attention.layer_norm_epsilon",
                                          .epsilon = 1e-5,
                                          .heads_fill_hidden = true,
                                          .own_output = true,
                                          .rotary_part = 0.25,
                                          .partial_rotary = true};

}  // namespace homelab::loader
