// What a configuration of each family must say, and what is refused because llama.cpp would compute
// something else.
#include <gtest/gtest.h>

#include "loader/model_config.h"

namespace homelab::loader {
namespace {

Result<ModelConfig> parse(std::string_view class_name, std::string_view more) {
  auto object = parse_json(R"({"hidden_size":64,"intermediate_size":96,"num_attention_heads":4,
    "num_key_value_heads":2,"num_hidden_layers":7,"max_position_embeddings":512,"vocab_size":300})")
                    ->get_object();
  object["architectures"] = json::array{class_name};
  auto const extra = parse_json(more).value().get_object();
  for (auto const& [key, value] : extra) object[key] = value;
  ASSIGN_OR_RETURN(auto const* architecture, require_architecture(identify(object)));
  return parse_config(object, *architecture);
}

constexpr std::string_view kGemmaSizes = R"({"head_dim":32,"query_pre_attn_scalar":32})";

TEST(Architectures, EveryOneHasANameATypeAndRules) {
  for (auto const* class_name :
       {"LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "Qwen2ForCausalLM",
        "Qwen3ForCausalLM", "Qwen3MoeForCausalLM", "SmolLM3ForCausalLM", "Olmo2ForCausalLM",
        "GraniteForCausalLM", "Phi3ForCausalLM", "StableLmForCausalLM", "Gemma2ForCausalLM",
        "Gemma3ForCausalLM"}) {
    auto const* found = find_architecture(class_name, "");
    ASSERT_NE(found, nullptr) << class_name;
    EXPECT_EQ(find_architecture("", found->model_type), found);
    EXPECT_FALSE(found->gguf_name.empty());
    EXPECT_FALSE(found->rules.empty());
    EXPECT_NE(known_architectures().find(class_name), std::string::npos);
  }
}

TEST(Architectures, ALlamaGgufIsCalledLlamaAlthoughMistralsAreCalledSoToo) {
  EXPECT_EQ(class_of_gguf_name("llama"), "LlamaForCausalLM");
}

TEST(Gemma3, SlidesInAllLayersButEverySixth) {
  auto const config = parse("Gemma3ForCausalLM", kGemmaSizes);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->window, 4096U);
  EXPECT_EQ(config->window_layers, (std::vector<std::int32_t>{1, 1, 1, 1, 1, 0, 1}));
  EXPECT_EQ(config->rope.base, 1e6F);
  EXPECT_EQ(config->rope.window_base, 1e4F);
  EXPECT_TRUE(config->tied_embeddings);
  EXPECT_TRUE(config->scalars.empty());
}

TEST(Gemma2, HasItsCapsEvenIfTheConfigurationDoesNotNameThem) {
  auto const config = parse("Gemma2ForCausalLM", kGemmaSizes);
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->scalars.size(), 2U);
  EXPECT_EQ(config->scalars[0].second, 50.0F);
  EXPECT_EQ(config->scalars[1].second, 30.0F);
  EXPECT_EQ(config->rope.window_base, config->rope.base);
}

TEST(StableLm, RotatesAQuarterOfEachHeadIfNothingElseIsSaid) {
  auto const usual = parse("StableLmForCausalLM", "{}");
  ASSERT_TRUE(usual) << usual.error().message;
  EXPECT_EQ(usual->rope.rotary_size, 4U);
  auto const half = parse("StableLmForCausalLM", R"({"partial_rotary_factor":0.5})");
  ASSERT_TRUE(half) << half.error().message;
  EXPECT_EQ(half->rope.rotary_size, 8U);
}

TEST(Phi3, IsLimitedToItsWindowWhichLlamaCppDoesNotHave) {
  auto const config = parse("Phi3ForCausalLM", R"({"sliding_window":100})");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->context_length, 100U);
}

TEST(Qwen3Moe, ReadsTheNumberOfExpertsByBothNames) {
  for (auto const* field : {"num_experts", "num_local_experts"}) {
    auto const config =
        parse("Qwen3MoeForCausalLM", std::string(R"({"num_experts_per_tok":2,"norm_topk_prob":true,
              "moe_intermediate_size":48,")") +
                                         field + R"(":8})");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->experts, 8U);
    EXPECT_EQ(config->expert_feed_forward_size, 48U);
  }
}

struct Refusal {
  std::string_view class_name;
  std::string_view fields;
  std::string_view named;
};

class Refused : public testing::TestWithParam<Refusal> {};

TEST_P(Refused, ByTheNameOfTheField) {
  auto const config = parse(GetParam().class_name, GetParam().fields);
  ASSERT_FALSE(config) << GetParam().fields;
  EXPECT_NE(config.error().message.find(GetParam().named), std::string::npos)
      << config.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Gemma, Refused,
    testing::Values(
        Refusal{"Gemma2ForCausalLM", R"({"head_dim":32})", "query_pre_attn_scalar"},
        Refusal{"Gemma2ForCausalLM",
                R"({"head_dim":32,"query_pre_attn_scalar":32,"final_logit_softcapping":null})",
                "final_logit_softcapping"},
        Refusal{"Gemma2ForCausalLM",
                R"({"head_dim":32,"query_pre_attn_scalar":32,"hidden_activation":"gelu"})", "gelu"},
        Refusal{"Gemma2ForCausalLM",
                R"({"head_dim":32,"query_pre_attn_scalar":32,"layer_types":["full_attention"]})",
                "layer_types"},
        Refusal{"Gemma2ForCausalLM",
                R"({"head_dim":32,"query_pre_attn_scalar":32,"sliding_window":null})",
                "sliding_window"},
        Refusal{"Gemma3ForCausalLM",
                R"({"head_dim":32,"query_pre_attn_scalar":32,"attn_logit_softcapping":50.0})",
                "attn_logit_softcapping"},
        Refusal{"Gemma3ForCausalLM",
                R"({"head_dim":32,"query_pre_attn_scalar":32,"use_bidirectional_attention":true})",
                "use_bidirectional_attention"},
        Refusal{"Gemma3ForCausalLM",
                R"({"head_dim":32,"query_pre_attn_scalar":32,
                    "rope_scaling":{"rope_type":"yarn","factor":2}})",
                "yarn"}));

INSTANTIATE_TEST_SUITE_P(
    Others, Refused,
    testing::Values(
        Refusal{"GraniteForCausalLM", R"({"logits_scaling":0})", "logits_scaling"},
        Refusal{"SmolLM3ForCausalLM", R"({"no_rope_layers":[1,1,1,1,1,1,1]})", "no_rope_layers"},
        Refusal{"SmolLM3ForCausalLM", R"({"no_rope_layer_interval":2})", "no_rope_layers"},
        Refusal{"Olmo2ForCausalLM", R"({"head_dim":32})", "hidden_size"},
        Refusal{"Phi3ForCausalLM",
                R"({"rope_scaling":{"type":"longrope","short_factor":[1,1,1,1,1,1,1,1],
                    "long_factor":[1,1,1,1,1,1,1]}})",
                "long_factor"},
        Refusal{"Phi3ForCausalLM",
                R"({"rope_scaling":{"type":"longrope","long_factor":[1,1,1,1,1,1,1,1],
                    "short_factor":[1,1,1,1,1,1,1,0]}})",
                "short_factor"},
        Refusal{"Phi3ForCausalLM", R"({"rope_scaling":{"type":"linear","factor":2}})", "linear"},
        Refusal{"Qwen2ForCausalLM", R"({"rope_scaling":{"type":"llama3","factor":2}})", "llama3"},
        Refusal{"Qwen2ForCausalLM", R"({"rope_scaling":{"type":"yarn","factor":0.5}})", "factor"},
        Refusal{"Qwen2ForCausalLM",
                R"({"rope_scaling":{"type":"yarn","factor":2,"truncate":false}})", "truncate"},
        Refusal{"Qwen2ForCausalLM",
                R"({"rope_scaling":{"type":"yarn","original_max_position_embeddings":1e30}})",
                "original_max_position_embeddings"},
        Refusal{"StableLmForCausalLM", R"({"partial_rotary_factor":0.1})",
                "partial_rotary_factor"}));

constexpr std::string_view kNoExperts = R"({"num_experts_per_tok":2,"norm_topk_prob":true,
    "moe_intermediate_size":48})";

INSTANTIATE_TEST_SUITE_P(
    Experts, Refused,
    testing::Values(Refusal{"Qwen3MoeForCausalLM", kNoExperts, "num_local_experts"},
                    Refusal{"Qwen3MoeForCausalLM", R"({"num_experts":4})", "norm_topk_prob"},
                    Refusal{"Qwen3MoeForCausalLM",
                            R"({"num_experts":4,"norm_topk_prob":true,"mlp_only_layers":[1]})",
                            "mlp_only_layers"},
                    Refusal{"Qwen3MoeForCausalLM",
                            R"({"num_experts":4,"norm_topk_prob":true,"decoder_sparse_step":2})",
                            "decoder_sparse_step"},
                    Refusal{"MixtralForCausalLM",
                            R"({"num_local_experts":4,"num_experts_per_tok":5})",
                            "num_experts_per_tok"},
                    Refusal{"MixtralForCausalLM",
                            R"({"num_local_experts":5000,"num_experts_per_tok":2})",
                            "num_local_experts"}));

}  // namespace
}  // namespace homelab::loader
