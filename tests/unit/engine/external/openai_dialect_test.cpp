#include "external/openai_dialect.h"

#include <gmock/gmock.h>

namespace homelab::engine {
namespace {

using testing::HasSubstr;

json::object body_of(GenerateRequest const& request) {
  auto const value = parse_json(openai_completion_body(request, "there"));
  EXPECT_TRUE(value);
  return value->as_object();
}

TEST(OpenAiCompletion, HasOnlyFieldsThatEveryServerKnows) {
  GenerateRequest request;
  request.prompt = "Hello";
  request.max_tokens = 9;
  auto const body = body_of(request);
  EXPECT_EQ(body.at("model").as_string(), "there");
  EXPECT_EQ(body.at("prompt").as_string(), "Hello");
  EXPECT_EQ(body.at("max_tokens").as_int64(), 9);
  EXPECT_EQ(body.at("temperature").as_double(), 0.7);
  EXPECT_EQ(body.at("top_p").as_double(), 0.9);
  EXPECT_TRUE(body.at("stream").as_bool());
  EXPECT_TRUE(body.at("stream_options").as_object().at("include_usage").as_bool());
  EXPECT_EQ(body.size(), 7U);
}

TEST(OpenAiCompletion, GreedyIsTemperatureZero) {
  GenerateRequest request;
  request.do_sample = false;
  EXPECT_EQ(body_of(request).at("temperature").as_double(), 0.0);
  EXPECT_FALSE(body_of(request).contains("top_p"));
}

TEST(OpenAiChunk, CarriesTextEndAndCounts) {
  auto const text = parse_openai_chunk(R"({"choices":[{"text":"one","finish_reason":null}]})");
  EXPECT_EQ(text->chunk.text, "one");
  EXPECT_FALSE(text->over);
  EXPECT_FALSE(text->chunk.last);
  EXPECT_TRUE(parse_openai_chunk(R"({"choices":[{"text":"","finish_reason":"length"}]})")->over);
  auto const usage =
      parse_openai_chunk(R"({"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}})");
  EXPECT_EQ(usage->chunk.input_tokens, 4);
  EXPECT_EQ(usage->chunk.output_tokens, 2);
  EXPECT_EQ(parse_openai_chunk(R"({"choices":[{"text":"x"}],"usage":null})")->chunk.output_tokens,
            0);
  EXPECT_TRUE(parse_openai_chunk(" [DONE]")->chunk.last);
}

TEST(OpenAiChunk, AnErrorEventIsTheServersError) {
  auto const error = parse_openai_chunk(R"({"error":{"message":"too long","code":400}})");
  EXPECT_EQ(error.error().message, "too long");
  EXPECT_EQ(error.error().code, Code::kInvalidArgument);
  EXPECT_EQ(parse_openai_chunk("nonsense").error().code, Code::kDataLoss);
  EXPECT_EQ(parse_openai_chunk("[1]").error().code, Code::kDataLoss);
}

TEST(WithModel, PutsTheModelInAndLeavesTheRestByteForByte) {
  EXPECT_EQ(
      with_model(R"({"model":"mine","messages":[{"content":"a, \"b\" } ]"}],"n":1.50})", "there"),
      R"({"model":"there","messages":[{"content":"a, \"b\" } ]"}],"n":1.50})");
  EXPECT_EQ(with_model(R"( { "a" : [ 1 , {"model": 2} ] } )", "x"),
            R"({"model":"x","a":[ 1 , {"model": 2} ]})");
  EXPECT_EQ(with_model("{}", "x"), R"({"model":"x"})");
  EXPECT_EQ(with_model(R"({"a":1,"keep_alive":-1,"b":"é"})", "x"),
            R"({"model":"x","a":1,"b":"é"})");
}

TEST(WithModel, FindsAKeyThatIsWrittenWithEscapes) {
  EXPECT_EQ(with_model(R"({"mod\u0065l":"mine","model":"again","z":0})", "x"),
            R"({"model":"x","z":0})");
}

TEST(WithModel, EscapesTheName) { EXPECT_EQ(with_model("{}", "a\"b"), R"({"model":"a\"b"})"); }

TEST(WithModel, LeavesAloneWhatIsNoObject) {
  for (std::string const text : {"", "[1]", "\"x\"", "{\"a\":1", "{\"a\" 1}", "{\"a\":1}}", "{a:1}",
                                 "{\"a\\", "{\"a\":[}", "{\"a\":\"\\"})
    EXPECT_EQ(with_model(text, "x"), text);
}

}  // namespace
}  // namespace homelab::engine
