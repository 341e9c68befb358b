#include "loader/model_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace homelab::loader {
namespace {

json::object small() {
  return parse_json(R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,
    "intermediate_size":96,"num_attention_heads":4,"num_key_value_heads":2,"num_hidden_layers":2,
    "max_position_embeddings":512,"rms_norm_eps":1e-5,"rope_theta":10000.0,"vocab_size":300,
    "torch_dtype":"bfloat16"})")
      ->get_object();
}

Result<ModelConfig> parse(json::object const& object) {
  ASSIGN_OR_RETURN(auto const* architecture, require_architecture(identify(object)));
  return parse_config(object, *architecture);
}

TEST(ModelConfig, ReadsTheSizes) {
  auto const config = parse(small());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->class_name, "LlamaForCausalLM");
  EXPECT_EQ(config->head_size, 16U);
  EXPECT_EQ(config->kv_heads, 2U);
  EXPECT_FALSE(config->tied_embeddings);
  EXPECT_EQ(config->rope.scaling.kind, RopeScaling::Kind::kNone);
}

TEST(ModelConfig, TakesTheDefaultsOfTheReferenceForWhatIsAbsentOrNull) {
  auto object = small();
  object.erase("num_key_value_heads");
  object["head_dim"] = nullptr;
  object.erase("rope_theta");
  auto const config = parse(object);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->kv_heads, 4U);
  EXPECT_EQ(config->head_size, 16U);
  EXPECT_EQ(config->rope.base, 10000.0F);
}

TEST(ModelConfig, ReadsTheNewerPlaceOfRopeParameters) {
  auto object = small();
  object.erase("rope_theta");
  object["rope_parameters"] =
      parse_json(R"({"rope_type":"linear","factor":4,"rope_theta":500000})").value();
  auto const config = parse(object);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->rope.base, 500000.0F);
  EXPECT_EQ(config->rope.scaling.kind, RopeScaling::Kind::kLinear);
  EXPECT_EQ(config->rope.scaling.factor, 4.0);
}

TEST(ModelConfig, LimitsAMistralToItsWindow) {
  auto object = small();
  object["architectures"] = {"MistralForCausalLM"};
  object["sliding_window"] = 128;
  EXPECT_EQ(parse(object)->context_length, 128U);
  object["sliding_window"] = nullptr;
  EXPECT_EQ(parse(object)->context_length, 512U);
}

TEST(ModelConfig, FindsTheArchitectureByClassOrElseByType) {
  ModelConfig config;
  config.class_name = "Qwen2ForCausalLM";
  EXPECT_EQ((*require_architecture(config))->gguf_name, "qwen2");
  config.class_name.clear();
  config.model_type = "mistral";
  EXPECT_EQ((*require_architecture(config))->gguf_name, "llama");
  config.class_name = "LlamaForSequenceClassification";
  auto const refused = require_architecture(config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnimplemented);
  EXPECT_NE(refused.error().message.find("LlamaForSequenceClassification"), std::string::npos);
}

TEST(Llama3Rope, LeavesShortWavesAndStretchesLongOnes) {
  RopeConfig const rope = {.base = 500000.0F,
                           .rotary_size = 64,
                           .scaling = {RopeScaling::Kind::kLlama3, 8.0, 1.0, 4.0, 8192}};
  auto const factors = llama3_rope_factors(rope);
  ASSERT_EQ(factors.size(), 32U);
  EXPECT_EQ(factors.front(), 1.0F);
  EXPECT_EQ(factors.back(), 8.0F);
  for (std::size_t i = 0; i < factors.size(); ++i) {
    double const frequency = std::pow(500000.0, -2.0 * static_cast<double>(i) / 64.0);
    double const turns = 8192.0 * frequency / (2 * std::numbers::pi);
    double const blend = std::clamp((turns - 1.0) / 3.0, 0.0, 1.0);
    EXPECT_NEAR(factors[i], 1.0 / ((1.0 - blend) / 8.0 + blend), 1e-4) << i;
  }
}

}  // namespace
}  // namespace homelab::loader
