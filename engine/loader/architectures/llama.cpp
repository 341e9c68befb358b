#include "loader/architectures/families.h"
#include "loader/architectures/rules.h"

namespace homelab::loader {
namespace {

constexpr auto kDenseRules = join(kEnds, kNormsBefore, kPairedAttention, kPairedAttentionBiases,
                                  kFeedForward, kFeedForwardBiases);

constexpr std::array kMixtralExperts = {
    router("model.layers.{}.block_sparse_moe.gate.weight"),
    expert("model.layers.{}.block_sparse_moe.experts.{}.w1.weight", "blk.{}.ffn_gate_exps.weight",
           Size::kExpertFeedForward, Size::kHidden),
    expert("model.layers.{}.block_sparse_moe.experts.{}.w2.weight", "blk.{}.ffn_down_exps.weight",
           Size::kHidden, Size::kExpertFeedForward),
    expert("model.layers.{}.block_sparse_moe.experts.{}.w3.weight", "blk.{}.ffn_up_exps.weight",
           Size::kExpertFeedForward, Size::kHidden),
};

constexpr auto kMixtralRules = join(kEnds, kNormsBefore, kPairedAttention, kMixtralExperts);

constexpr RopeKinds kRopeKinds = {.longrope = true, .llama3 = true};

}  // namespace

constinit Architecture const kLlama = {.class_name = "LlamaForCausalLM",
                                       .model_type = "llama",
                                       .gguf_name = "llama",
                                       .rules = kDenseRules,
                                       .rope_kinds = kRopeKinds};

constinit Architecture const kMistral = {.class_name = "MistralForCausalLM",
                                         .model_type = "mistral",
                                         .gguf_name = "llama",
                                         .rules = kDenseRules,
                                         .rope_kinds = kRopeKinds,
                                         .window = Window::kLimitsContext};

constinit Architecture const kMixtral = {
    .class_name = "MixtralForCausalLM",
    .model_type = "mixtral",
    .gguf_name = "llama",
    .rules = kMixtralRules,
    .epsilon = 1e-5,
    .rope_base = 1'000'000.0,
    .rope_kinds = kRopeKinds,
    .window = Window::kLimitsContext,
    .experts = {
        .count = "num_local_experts", .used = "num_experts_per_tok", .size = "intermediate_size"}};

}  // namespace homelab::loader
