#include "loader/architectures/families.h"
#include "loader/architectures/rules.h"

namespace homelab::loader {
namespace {

constexpr std::array kEmbeddingAndNorms = {
    matrix("model.embed_tokens.weight", "token_embd.weight", Size::kVocabulary, Size::kHidden),
    plus_one(vector("model.norm.weight", "output_norm.weight", Size::kHidden)),
    plus_one(
        vector("model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight", Size::kHidden)),
    plus_one(vector("model.layers.{}.post_attention_layernorm.weight",
                    "blk.{}.post_attention_norm.weight", Size::kHidden)),
    plus_one(vector("model.layers.{}.pre_feedforward_layernorm.weight", "blk.{}.ffn_norm.weight",
                    Size::kHidden)),
    plus_one(vector("model.layers.{}.post_feedforward_layernorm.weight",
                    "blk.{}.post_ffw_norm.weight", Size::kHidden)),
};
constexpr std::array kGemmaHeadNorms = {plus_one(kHeadNorms[0]), plus_one(kHeadNorms[1])};

constexpr auto kGemma2Rules = join(kEmbeddingAndNorms, kAttention, kFeedForward);
constexpr auto kGemma3Rules = join(kEmbeddingAndNorms, kAttention, kGemmaHeadNorms, kFeedForward);

constexpr std::array kGemma2Scalars = {
    ScalarRule{"attn_logit_softcapping", "attn_logit_softcapping", 50.0},
    ScalarRule{"final_logit_softcapping", "final_logit_softcapping", 30.0},
};
constexpr std::array kGemma3Scalars = {
    ScalarRule{"final_logit_softcapping", "final_logit_softcapping"},
};

constexpr std::array kGemma2Fixed = {
    FixedRule{"use_bidirectional_attention", FixedRule::Must::kBeFalse},
};
constexpr std::array kGemma3Fixed = {
    FixedRule{"use_bidirectional_attention", FixedRule::Must::kBeFalse},
    FixedRule{"attn_logit_softcapping", FixedRule::Must::kBeNull},
};

constexpr RopeKinds kOnlyLinear = {.yarn = false};
constexpr std::uint32_t kHeadSize = 256;
constexpr std::uint32_t kWindow = 4096;

}  // namespace

constinit Architecture const kGemma2 = {.class_name = "Gemma2ForCausalLM",
                                        .model_type = "gemma2",
                                        .gguf_name = "gemma2",
                                        .rules = kGemma2Rules,
                                        .scalars = kGemma2Scalars,
                                        .fixed = kGemma2Fixed,
                                        .activation_field = "hidden_activation",
                                        .activation = "gelu_pytorch_tanh",
                                        .head_size = kHeadSize,
                                        .tied = true,
                                        .rope_kinds = kOnlyLinear,
                                        .window = Window::kPerLayer,
                                        .window_absent = kWindow,
                                        .full_every = 2,
                                        .query_scale = {"query_pre_attn_scalar", kHeadSize, 46}};

constinit Architecture const kGemma3 = {.class_name = "Gemma3ForCausalLM",
                                        .model_type = "gemma3_text",
                                        .gguf_name = "gemma3",
                                        .rules = kGemma3Rules,
                                        .scalars = kGemma3Scalars,
                                        .fixed = kGemma3Fixed,
                                        .activation_field = "hidden_activation",
                                        .activation = "gelu_pytorch_tanh",
                                        .head_size = kHeadSize,
                                        .tied = true,
                                        .rope_base = 1'000'000.0,
                                        .rope_kinds = kOnlyLinear,
                                        .window = Window::kPerLayer,
                                        .window_absent = kWindow,
                                        .full_every = 6,
                                        .window_rope_base = 10'000.0,
                                        .query_scale = {"query_pre_attn_scalar", kHeadSize, 62}};

}  // namespace homelab::loader
