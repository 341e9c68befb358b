#include "load_config.h"

#include <gmock/gmock.h>

namespace homelab::engine {
namespace {

using testing::HasSubstr;

LoadConfig read(std::string const& text) {
  auto const config = parse_load_config(text);
  if (!config) throw std::runtime_error(config.error().message);
  return *config;
}

std::string refusal(std::string const& text) {
  auto const config = parse_load_config(text);
  return config ? "" : config.error().message;
}

TEST(LoadConfig, NothingAsksForNothing) {
  for (std::string const text : {"", "  ", "{}", "null"}) EXPECT_TRUE(parse_load_config(text));
  EXPECT_TRUE(parse_load_config(std::nullopt));
}

TEST(LoadConfig, TheOriginalsKeysMeanWhatTheyMeant) {
  EXPECT_EQ(read(R"({"torch_dtype":"float16"})").dtype, "float16");
  EXPECT_EQ(read(R"({"torch_dtype":"torch.bfloat16"})").dtype, "bfloat16");
  EXPECT_EQ(read(R"({"torch_dtype":"auto"})").dtype, "");
  EXPECT_EQ(read(R"({"device_map":"auto"})").gpu_layers, std::nullopt);
  EXPECT_EQ(read(R"({"device_map":"cpu"})").gpu_layers, 0);
  EXPECT_GT(read(R"({"device_map":"cuda:0"})").gpu_layers, 100);
  EXPECT_EQ(read(R"({"load_in_8bit":true})").quantised, "Q8_0");
  EXPECT_EQ(read(R"({"load_in_4bit":true})").quantised, "Q4_K");
  EXPECT_EQ(read(R"({"load_in_4bit":false})").quantised, "");
  EXPECT_EQ(read(R"({"attn_implementation":"eager"})").flash_attention, "off");
  EXPECT_EQ(read(R"({"attn_implementation":"flash_attention_2"})").flash_attention, "on");
  EXPECT_TRUE(parse_load_config(R"({"low_cpu_mem_usage":true,"attn_implementation":"sdpa"})"));
}

TEST(LoadConfig, OurKeys) {
  auto const config = read(R"({"quantize":"Q4_0","context":4096,"slots":2,"gpu_layers":10})");
  EXPECT_EQ(config.quantised, "Q4_0");
  EXPECT_EQ(config.context_tokens, 4096U);
  EXPECT_EQ(config.slots, 2U);
  EXPECT_EQ(config.gpu_layers, 10);
}

TEST(LoadConfig, WhatCannotBeDoneIsRefusedWithAReason) {
  EXPECT_THAT(refusal(R"({"trust_remote_code":true})"), HasSubstr("never run"));
  EXPECT_THAT(refusal(R"({"max_memory":{"0":"1GB"}})"), HasSubstr("'max_memory'"));
  EXPECT_THAT(refusal(R"({"rope_scaling":{"type":"linear"}})"), HasSubstr("'rope_scaling'"));
  EXPECT_THAT(refusal(R"({"device_map":{"lm_head":0}})"), HasSubstr("'device_map'"));
  EXPECT_THAT(refusal(R"({"quantization_config":{}})"), HasSubstr("quantize"));
}

TEST(LoadConfig, NoKeyIsIgnored) {
  EXPECT_THAT(refusal(R"({"torch_dtyp":"float16"})"), HasSubstr("'torch_dtyp' is no key"));
}

TEST(LoadConfig, WrongValuesNameTheKey) {
  EXPECT_THAT(refusal(R"({"torch_dtype":"int8"})"), HasSubstr("'torch_dtype' must be auto"));
  EXPECT_THAT(refusal(R"({"context":0})"), HasSubstr("'context' must be a whole number from 1"));
  EXPECT_THAT(refusal(R"({"load_in_8bit":"yes"})"), HasSubstr("'load_in_8bit' must be true"));
  EXPECT_THAT(refusal("[]"), HasSubstr("must be a JSON object"));
  EXPECT_THAT(refusal("{"), HasSubstr("load_config"));
}

TEST(LoadConfig, ATypeThatTheWeightsDoNotHaveIsNotPretended) {
  EXPECT_TRUE(check_dtype("", "Q4_K_M"));
  EXPECT_TRUE(check_dtype("bfloat16", "torch.bfloat16"));
  EXPECT_TRUE(check_dtype("float16", "F16"));
  EXPECT_THAT(check_dtype("float16", "torch.bfloat16").error().message,
              HasSubstr("asks for float16, but the weights are stored as torch.bfloat16"));
}

}  // namespace
}  // namespace homelab::engine
