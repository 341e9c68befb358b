#include "engine_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace homelab::engine {
namespace {

EngineStart sample() {
  EngineStart start;
  start.model_path = "/m";
  start.alias = "one,two";
  start.context_tokens = 1000;
  start.slots = 4;
  start.threads = 3;
  start.socket = "/run/x.sock";
  return start;
}

TEST(EngineArguments, AreLlamaServersWithTheLifelineInFront) {
  EXPECT_EQ(engine_arguments(sample()),
            (std::vector<std::string>{"--lifeline-fd", "3", "--host", "/run/x.sock", "-m", "/m",
                                      "-c", "4000", "-np", "4", "-t", "3", "--alias", "one_two",
                                      "--cache-ram", "256"}));
}

TEST(EngineArguments, NameTheGpuLayersOnlyWhenTheyAreSet) {
  EngineStart start = sample();
  EXPECT_THAT(engine_arguments(start), testing::Not(testing::Contains("-ngl")));
  start.gpu_layers = 0;
  EXPECT_THAT(engine_arguments(start), testing::Contains("-ngl"));
}

TEST(EngineArguments, TheContextIsTheModelsOwnUpToTheDefault) {
  EXPECT_EQ(context_tokens_for(0, 2048), 2048U);
  EXPECT_EQ(context_tokens_for(0, 131072), kDefaultContextTokens);
  EXPECT_EQ(context_tokens_for(0, std::nullopt), kDefaultContextTokens);
  EXPECT_EQ(context_tokens_for(0, -1), kDefaultContextTokens);
  EXPECT_EQ(context_tokens_for(512, 2048), 512U);
}

TEST(EngineArguments, TheRowsLoadConfigIsPassedOn) {
  EngineStart start;
  start.quantised = "Q8_0";
  start.flash_attention = "off";
  auto const arguments = engine_arguments(start);
  EXPECT_THAT(arguments, testing::IsSupersetOf({"--load-quantized", "Q8_0", "-fa", "off"}));
}

TEST(EngineArguments, AModelForEmbeddingsOrRankingIsStartedForThat) {
  EngineStart start;
  start.purpose = "embedding";
  EXPECT_THAT(engine_arguments(start), testing::Contains("--embeddings"));
  EXPECT_THAT(engine_arguments(start), testing::IsSupersetOf({"-b", "-ub", "2048"}));
  start.context_tokens = 384;
  EXPECT_THAT(engine_arguments(start), testing::IsSupersetOf({"-b", "-ub", "384"}));
  start.purpose = "rerank";
  EXPECT_THAT(engine_arguments(start), testing::Contains("--reranking"));
  EXPECT_THAT(engine_arguments(EngineStart{}), testing::Not(testing::Contains("--embeddings")));
  EXPECT_THAT(engine_arguments(EngineStart{}), testing::Not(testing::Contains("-ub")));
}

}  // namespace
}  // namespace homelab::engine
