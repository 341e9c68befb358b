#include "loader/architectures/families.h"
#include "loader/architectures/rules.h"

namespace homelab::loader {
namespace {

// Norms behind attention and feed-forward instead of before, and over all heads at once.
constexpr std::array kNorms = {
    vector("model.layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight", Size::kQuery),
    vector("model.layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight", Size::kKey),
    vector("model.layers.{}.post_attention_layernorm.weight", "blk.{}.post_attention_norm.weight",
           Size::kHidden),
    vector("model.layers.{}.post_feedforward_layernorm.weight", "blk.{}.post_ffw_norm.weight",
           Size::kHidden),
};
constexpr auto kRules = join(kEnds, kNorms, kAttention, kFeedForward);

}  // namespace

constinit Architecture const kOlmo2 = {.class_name = "Olmo2ForCausalLM",
                                       .model_type = "olmo2",
                                       .gguf_name = "olmo2",
                                       .rules = kRules,
                                       .epsilon = 1e-5,
                                       .heads_fill_hidden = true,
                                       .own_output = true,
                                       .rope_kinds = {.yarn = false}};

}  // namespace homelab::loader
