#include "completion.h"

#include <gtest/gtest.h>

namespace homelab::engine {
namespace {

json::object body_of(GenerateRequest const& request) {
  auto const value = parse_json(completion_body({1, 2}, request));
  EXPECT_TRUE(value);
  return value->as_object();
}

TEST(Completion, IsGreedyWithoutSamplingWithTemperatureZeroAndWithTopPZero) {
  EXPECT_FALSE(is_greedy({.prompt = "x"}));
  EXPECT_TRUE(is_greedy({.prompt = "x", .do_sample = false}));
  EXPECT_TRUE(is_greedy({.prompt = "x", .temperature = 0}));
  EXPECT_TRUE(is_greedy({.prompt = "x", .top_p = 0}));
}

TEST(Completion, GreedyTakesTheMostProbableTokenAndReusesNothing) {
  auto const body = body_of({.prompt = "x", .max_tokens = 7, .do_sample = false});
  EXPECT_EQ(body.at("top_k").as_int64(), 1);
  EXPECT_EQ(body.at("samplers").as_array(), json::array{"top_k"});
  EXPECT_FALSE(body.at("cache_prompt").as_bool());
  EXPECT_EQ(body.at("n_predict").as_int64(), 7);
  EXPECT_TRUE(body.at("stream").as_bool());
}

TEST(Completion, SamplesLikeTransformers) {
  auto const body = body_of({.prompt = "x", .temperature = 1.5, .top_p = 0.25});
  EXPECT_EQ(body.at("samplers").as_array(), (json::array{"temperature", "top_k", "top_p"}));
  EXPECT_EQ(body.at("temperature").as_double(), 1.5);
  EXPECT_EQ(body.at("top_p").as_double(), 0.25);
  EXPECT_EQ(body.at("top_k").as_int64(), 50);
  EXPECT_EQ(body.at("min_p").as_double(), 0);
  EXPECT_EQ(body.at("repeat_penalty").as_double(), 1);
}

TEST(Completion, ParametersOfTheRequestTakeTheirPlacesAmongTheSteps) {
  GenerateRequest request{.prompt = "x"};
  request.parameters = {{"top_k", 7},       {"min_p", 0.1},    {"repeat_penalty", 1.5},
                        {"typical_p", 0.5}, {"stop", {"END"}}, {"seed", 42}};
  auto const body = body_of(request);
  EXPECT_EQ(body.at("samplers").as_array(),
            (json::array{"penalties", "temperature", "top_k", "top_p", "min_p", "typ_p"}));
  EXPECT_EQ(body.at("top_k").as_int64(), 7);
  EXPECT_EQ(body.at("min_p").as_double(), 0.1);
  EXPECT_EQ(body.at("repeat_penalty").as_double(), 1.5);
  EXPECT_EQ(body.at("stop").as_array(), json::array{"END"});
  EXPECT_EQ(body.at("seed").as_int64(), 42);
  EXPECT_FALSE(body.at("cache_prompt").as_bool()) << "a seed is for the same answer again";
  EXPECT_EQ(top_k_of(request), 7);
}

TEST(Completion, PenaltiesCountForGreedyAnswersTooAndNothingElseDoes) {
  GenerateRequest request{.prompt = "x", .do_sample = false};
  request.parameters = {{"top_k", 7}, {"min_p", 0.1}, {"presence_penalty", 1.0}, {"mirostat", 2}};
  auto const body = body_of(request);
  EXPECT_EQ(body.at("samplers").as_array(), (json::array{"penalties", "top_k"}));
  EXPECT_EQ(body.at("top_k").as_int64(), 1);
  EXPECT_FALSE(body.contains("mirostat"));
  EXPECT_FALSE(top_k_of(request));
}

TEST(Completion, ThePromptIsSentAsItsTokens) {
  EXPECT_EQ(body_of({.prompt = "x"}).at("prompt").as_array(), (json::array{1, 2}));
  auto const body = parse_json(tokenize_body("a\"b"));
  ASSERT_TRUE(body);
  EXPECT_EQ(body->as_object().at("content").as_string(), "a\"b");
  EXPECT_TRUE(body->as_object().at("add_special").as_bool());
}

TEST(Completion, ReadsTokenIdsAndRefusesEverythingElse) {
  auto const tokens = parse_tokens(R"({"tokens":[1,22,333]})");
  ASSERT_TRUE(tokens);
  EXPECT_EQ(*tokens, (json::array{1, 22, 333}));
  for (auto const bad : {"", "[]", "{}", R"({"tokens":3})", R"({"tokens":["a"]})"})
    EXPECT_EQ(parse_tokens(bad).error().code, Code::kDataLoss) << bad;
}

TEST(Completion, ReadsATextAndTheLastEvent) {
  auto const text =
      parse_chunk(R"({"content":" w1","stop":false,"tokens_predicted":2,"tokens_evaluated":5})");
  ASSERT_TRUE(text);
  EXPECT_EQ(text->text, " w1");
  EXPECT_FALSE(text->last);
  auto const last =
      parse_chunk(R"({"content":"","stop":true,"tokens_predicted":8,"tokens_evaluated":5})");
  ASSERT_TRUE(last);
  EXPECT_TRUE(last->last);
  EXPECT_EQ(last->output_tokens, 8);
  EXPECT_EQ(last->input_tokens, 5);
}

TEST(Completion, AnErrorEventIsTheEnginesError) {
  auto const server = parse_chunk(R"({"error":{"code":500,"message":"boom"}})");
  EXPECT_EQ(server.error(), (Error{Code::kInternal, "boom"}));
  auto const caller = parse_chunk(R"({"error":{"code":400,"message":"too long"}})");
  EXPECT_EQ(caller.error(), (Error{Code::kInvalidArgument, "too long"}));
}

TEST(Completion, GarbageIsNamedAndCut) {
  std::string const garbage(5000, 'x');
  auto const chunk = parse_chunk(garbage);
  ASSERT_FALSE(chunk);
  EXPECT_EQ(chunk.error().code, Code::kDataLoss);
  EXPECT_LT(chunk.error().message.size(), 500U);
}

TEST(Completion, AnErrorAnswerGivesTheEnginesMessage) {
  EXPECT_EQ(engine_error(400, R"({"error":{"code":400,"message":"context"}})"),
            (Error{Code::kInvalidArgument, "context"}));
  EXPECT_EQ(engine_error(500, "oops").code, Code::kInternal);
  EXPECT_NE(engine_error(500, "oops").message.find("oops"), std::string::npos);
}

}  // namespace
}  // namespace homelab::engine
