#include "loader/architectures/families.h"
#include "loader/architectures/rules.h"

namespace homelab::loader {
namespace {

constexpr std::array kQwen2Biases = {
    vector("model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias", Size::kQuery),
    vector("model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias", Size::kKey),
    vector("model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias", Size::kKey),
};
constexpr auto kQwen2Rules = join(kEnds, kNormsBefore, kAttention, kQwen2Biases, kFeedForward);

constexpr auto kQwen3Rules = join(kEnds, kNormsBefore, kAttention, kHeadNorms, kFeedForward);

constexpr std::array kExperts = {
    router("model.layers.{}.mlp.gate.weight"),
    expert("model.layers.{}.mlp.experts.{}.gate_proj.weight", "blk.{}.ffn_gate_exps.weight",
           Size::kExpertFeedForward, Size::kHidden),
    expert("model.layers.{}.mlp.experts.{}.down_proj.weight", "blk.{}.ffn_down_exps.weight",
           Size::kHidden, Size::kExpertFeedForward),
    expert("model.layers.{}.mlp.experts.{}.up_proj.weight", "blk.{}.ffn_up_exps.weight",
           Size::kExpertFeedForward, Size::kHidden),
};
constexpr auto kQwen3MoeRules = join(kEnds, kNormsBefore, kAttention, kHeadNorms, kExperts);

// llama.cpp has experts in every layer and lets the weights of the chosen ones sum to 1.
constexpr std::array kQwen3MoeFixed = {
    FixedRule{"norm_topk_prob", FixedRule::Must::kBeTrue},
    FixedRule{"decoder_sparse_step", FixedRule::Must::kBeOne},
    FixedRule{"mlp_only_layers", FixedRule::Must::kBeEmpty},
};

constexpr std::uint32_t kQwen3HeadSize = 128;

}  // namespace

constinit Architecture const kQwen2 = {.class_name = "Qwen2ForCausalLM",
                                       .model_type = "qwen2",
                                       .gguf_name = "qwen2",
                                       .rules = kQwen2Rules};

constinit Architecture const kQwen3 = {.class_name = "Qwen3ForCausalLM",
                                       .model_type = "qwen3",
                                       .gguf_name = "qwen3",
                                       .rules = kQwen3Rules,
                                       .head_size = kQwen3HeadSize};

constinit Architecture const kQwen3Moe = {.class_name = "Qwen3MoeForCausalLM",
                                          .model_type = "qwen3_moe",
                                          .gguf_name = "qwen3moe",
                                          .rules = kQwen3MoeRules,
                                          .fixed = kQwen3MoeFixed,
                                          .experts = {.count = "num_experts",
                                                      .other_count = "num_local_experts",
                                                      .used = "num_experts_per_tok",
                                                      .size = "moe_intermediate_size",
                                                      .has_own_size = true}};

}  // namespace homelab::loader
