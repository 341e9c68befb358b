#include "hub/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "builders.h"
#include "gguf_name.h"

namespace homelab::hub {
namespace {

using test::file_of;
using test::paths_of;
using test::tree_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(GgufName, TellsTheQuantisationWhateverStandsAroundIt) {
  EXPECT_EQ(quantisation_of("SmolLM2-135M-Instruct-Q4_K_M"), "Q4_K_M");
  EXPECT_EQ(quantisation_of("model.Q8_0"), "Q8_0");
  EXPECT_EQ(quantisation_of("model_q4_1"), "Q4_1");
  EXPECT_EQ(quantisation_of("Qwen3-8B-UD-Q4_K_XL"), "UD-Q4_K_XL");
  EXPECT_EQ(quantisation_of("llama-3-iq3_xxs"), "IQ3_XXS");
  EXPECT_EQ(quantisation_of("a/b/x-bf16"), "BF16");
  EXPECT_EQ(quantisation_of("gpt-oss-20b-mxfp4"), "MXFP4");
  EXPECT_EQ(quantisation_of("x-Q4_0_4_8"), "Q4_0_4_8");
}

TEST(GgufName, LooksAtFoldersOnlyWhenTheFileNameSaysNothing) {
  EXPECT_EQ(quantisation_of("Q8_0/model"), "Q8_0");
  EXPECT_EQ(quantisation_of("Q8_0/model-Q4_0"), "Q4_0");
}

TEST(GgufName, FindsNoQuantisationWhereThereIsNone) {
  EXPECT_EQ(quantisation_of("Qwen3-8B"), "");
  EXPECT_EQ(quantisation_of("model"), "");
  EXPECT_EQ(quantisation_of("Q4"), "");
  EXPECT_EQ(quantisation_of("xQ4_K_M"), "");
  EXPECT_EQ(quantisation_of(""), "");
}

TEST(GgufName, TakesShardNamesApart) {
  auto const name = parse_shard_name("a/m-Q8_0-00002-of-00005.gguf", "gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->stem, "a/m-Q8_0");
  EXPECT_EQ(name->index, 2U);
  EXPECT_EQ(name->count, 5U);
}

TEST(GgufName, RefusesShardNamesThatDoNotFit) {
  EXPECT_FALSE(parse_shard_name("m-00006-of-00005.gguf", "gguf"));
  EXPECT_FALSE(parse_shard_name("m-00000-of-00005.gguf", "gguf"));
  EXPECT_FALSE(parse_shard_name("m-0001-of-00005.gguf", "gguf"));
  EXPECT_FALSE(parse_shard_name("m-00001-of-00005.safetensors", "gguf"));
  EXPECT_FALSE(parse_shard_name("m.gguf", "gguf"));
  EXPECT_FALSE(parse_shard_name("", "gguf"));
}

TEST(Plan, OfASafetensorsRepositoryHasWhatFromPretrainedReads) {
  auto const plan = plan_files(
      tree_of({".gitattributes", "README.md", "config.json", "generation_config.json",
               "model.safetensors", "tokenizer.json", "tokenizer_config.json", "merges.txt",
               "chat_template.jinja", "onnx/model.onnx", "pytorch_model.bin", "runs/log.json",
               "modeling_x.py", "pytorch_model.bin.index.json", "training.png"}),
      "");
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->format, ModelFormat::kSafetensors);
  EXPECT_THAT(paths_of(plan->files),
              ElementsAre(".gitattributes", "README.md", "chat_template.jinja", "config.json",
                          "generation_config.json", "merges.txt", "model.safetensors",
                          "tokenizer.json", "tokenizer_config.json"));
}

TEST(Plan, TakesAllShardsAndTheIndexButNoSecondCopyOfTheWeights) {
  auto const plan =
      plan_files(tree_of({"config.json", "model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors", "model.safetensors.index.json",
                          "consolidated.safetensors", "fp16/model.safetensors"}),
                 "");
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_THAT(paths_of(plan->files),
              ElementsAre("config.json", "model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors", "model.safetensors.index.json"));
}

TEST(Plan, RefusesAnIncompleteSetOfShards) {
  auto const plan = plan_files(tree_of({"config.json", "model-00001-of-00002.safetensors"}), "");
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("should have 2 parts"));
}

TEST(Plan, OfAGgufRepositoryPrefersQ4KM) {
  auto const plan = plan_files(
      tree_of({"README.md", "m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "mmproj-F16.gguf"}), "");
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->format, ModelFormat::kGguf);
  EXPECT_EQ(plan->gguf->text(), "m-Q4_K_M.gguf");
  EXPECT_EQ(plan->variant, "Q4_K_M");
  EXPECT_THAT(paths_of(plan->files), ElementsAre("README.md", "m-Q4_K_M.gguf"));
}

TEST(Plan, TakesTheClosestToQ4KMWhenThatIsMissing) {
  EXPECT_EQ(plan_files(tree_of({"m-Q8_0.gguf", "m-Q4_K_S.gguf", "m-F16.gguf"}), "")->variant,
            "Q4_K_S");
  EXPECT_EQ(plan_files(tree_of({"m-Q8_0.gguf", "m-F16.gguf"}), "")->variant, "Q8_0");
}

TEST(Plan, FindsAVariantInAnyCaseByQuantisationOrFileName) {
  auto const tree = tree_of({"a/m-Q4_K_M.gguf", "m-Q8_0.gguf", "m-UD-Q6_K_XL.gguf"});
  EXPECT_EQ(plan_files(tree, "q8_0")->gguf->text(), "m-Q8_0.gguf");
  EXPECT_EQ(plan_files(tree, "Q6_K_XL")->gguf->text(), "m-UD-Q6_K_XL.gguf");
  EXPECT_EQ(plan_files(tree, "m-q4_k_m.gguf")->gguf->text(), "a/m-Q4_K_M.gguf");
  EXPECT_EQ(plan_files(tree, "a/m-Q4_K_M.gguf")->gguf->text(), "a/m-Q4_K_M.gguf");
}

TEST(Plan, SaysWhatThereIsWhenTheVariantIsMissing) {
  auto const plan = plan_files(tree_of({"m-Q8_0.gguf", "m-Q4_0.gguf"}), "Q5_K_M");
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Code::kNotFound);
  EXPECT_THAT(plan.error().message, HasSubstr("Q4_0, Q8_0"));
}

TEST(Plan, TakesAllShardsOfTheChosenQuantisation) {
  auto const plan =
      plan_files(tree_of({"Q8_0/m-Q8_0-00001-of-00002.gguf", "Q8_0/m-Q8_0-00002-of-00002.gguf",
                          "Q4_0/m-Q4_0-00001-of-00001.gguf"}),
                 "q8_0");
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->gguf->text(), "Q8_0/m-Q8_0-00001-of-00002.gguf");
  EXPECT_EQ(plan->files.size(), 2U);
}

TEST(Plan, TakesTheOnlyFileEvenWithoutAQuantisationInItsName) {
  auto const plan = plan_files(tree_of({"ggml-model.gguf"}), "");
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->variant, "");
}

TEST(Plan, AsksToChooseAmongFilesItCannotTellApart) {
  auto const plan = plan_files(tree_of({"small.gguf", "large.gguf"}), "");
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("large.gguf, small.gguf"));
}

TEST(Plan, OfARepositoryWithBothUsesSafetensorsUnlessAQuantisationIsNamed) {
  auto const tree = tree_of({"config.json", "model.safetensors", "m-Q4_K_M.gguf"});
  EXPECT_EQ(plan_files(tree, "")->format, ModelFormat::kSafetensors);
  EXPECT_EQ(plan_files(tree, "Q4_K_M")->format, ModelFormat::kGguf);
}

TEST(Plan, NeverTakesAPickleAndSaysWhy) {
  auto const plan = plan_files(tree_of({"config.json", "pytorch_model.bin"}), "");
  ASSERT_FALSE(plan);
  EXPECT_THAT(plan.error().message, HasSubstr("Pickle files"));
  EXPECT_THAT(plan.error().message, HasSubstr(".bin"));
}

TEST(Plan, OfEverythingLeavesOnlyPicklesOut) {
  auto const plan = plan_everything(
      tree_of({"config.json", "model.safetensors", "pytorch_model.bin", "x.PT", "runs/a.log"}), "");
  EXPECT_THAT(paths_of(plan.files), ElementsAre("config.json", "model.safetensors", "runs/a.log"));
  EXPECT_EQ(plan.format, ModelFormat::kSafetensors);
}

TEST(Plan, LeavesAHugeTextOut) {
  cache::Tree tree = tree_of({"config.json", "model.safetensors"});
  tree.files.push_back(file_of("zz.json", 1ULL << 32U));
  EXPECT_THAT(paths_of(plan_files(tree, "")->files), Not(testing::Contains("zz.json")));
}

TEST(Plan, OfAnEmptyCommitIsNotFound) {
  EXPECT_EQ(plan_files({}, "").error().code, Code::kNotFound);
  EXPECT_TRUE(plan_everything({}, "").files.empty());
}

}  // namespace
}  // namespace homelab::hub
