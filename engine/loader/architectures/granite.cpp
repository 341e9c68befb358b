#include "loader/architectures/families.h"
#include "loader/architectures/rules.h"

namespace homelab::loader {
namespace {

constexpr auto kRules = join(kEnds, kNormsBefore, kPairedAttention, kPairedAttentionBiases,
                             kFeedForward, kFeedForwardBiases);

constexpr std::array kMultipliers = {
    ScalarRule{"embedding_multiplier", "embedding_scale", 1.0},
    ScalarRule{"residual_multiplier", "residual_scale", 1.0},
    ScalarRule{"attention_multiplier", "attention.scale", 1.0},
    ScalarRule{"logits_scaling", "logit_scale", 1.0},
};

}  // namespace

constinit Architecture const kGranite = {.class_name = "GraniteForCausalLM",
                                         .model_type = "granite",
                                         .gguf_name = "granite",
                                         .rules = kRules,
                                         .scalars = kMultipliers,
                                         .rope_kinds = {.longrope = true, .llama3 = true}};

}  // namespace homelab::loader
