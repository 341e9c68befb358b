#include "ollama/translate.h"

#include <gtest/gtest.h>

namespace homelab::api::ollama {
namespace {

json::object object(std::string_view text) { return parse_json(text)->as_object(); }

Wanted chat(std::string_view text) {
  auto const wanted = read_chat(object(text));
  if (!wanted) throw std::runtime_error(wanted.error().message);
  return *wanted;
}

std::string chat_error(std::string_view text) {
  auto const wanted = read_chat(object(text));
  return wanted ? "" : wanted.error().message;
}

TEST(OllamaRequest, MessagesBecomeAChat) {
  auto const wanted = chat(R"({"model":"m:latest","messages":[{"role":"user","content":"Hi"}]})");
  EXPECT_EQ(wanted.model, "m");
  EXPECT_EQ(wanted.target, "/v1/chat/completions");
  EXPECT_TRUE(wanted.stream);
  EXPECT_FALSE(wanted.only_load);
  EXPECT_EQ(json::serialize(wanted.body.at("messages")), R"([{"role":"user","content":"Hi"}])");
  EXPECT_TRUE(wanted.body.at("stream").as_bool()) << "the engine is always asked for a stream";
}

TEST(OllamaRequest, OptionsGetTheEnginesNames) {
  auto const wanted = chat(
      R"({"model":"m","options":{"num_predict":7,"top_k":3,"seed":1,"stop":["x"],"num_ctx":9}})");
  EXPECT_EQ(wanted.body.at("max_tokens").as_int64(), 7);
  EXPECT_EQ(wanted.body.at("top_k").as_int64(), 3);
  EXPECT_EQ(wanted.body.at("seed").as_int64(), 1);
  EXPECT_EQ(json::serialize(wanted.body.at("stop")), R"(["x"])");
  EXPECT_FALSE(wanted.body.contains("num_ctx")) << "the context is the server's affair";
}

TEST(OllamaRequest, NoLimitIsNoLimit) {
  EXPECT_FALSE(chat(R"({"model":"m","options":{"num_predict":-1}})").body.contains("max_tokens"));
}

TEST(OllamaRequest, FormatIsJsonOrASchema) {
  EXPECT_EQ(json::serialize(chat(R"({"model":"m","format":"json"})").body.at("response_format")),
            R"({"type":"json_object"})");
  auto const schema = chat(R"({"model":"m","format":{"type":"object"}})");
  EXPECT_EQ(json::serialize(schema.body.at("response_format")),
            R"({"type":"json_schema","json_schema":{"schema":{"type":"object"}}})");
  EXPECT_FALSE(chat(R"({"model":"m","format":""})").body.contains("response_format"));
  EXPECT_NE(chat_error(R"({"model":"m","format":5})").find("'format'"), std::string::npos);
}

TEST(OllamaRequest, ImagesBecomeParts) {
  auto const wanted =
      chat(R"({"model":"m","messages":[{"role":"user","content":"What?","images":["QUJD"]}]})");
  auto const& parts = wanted.body.at("messages").as_array()[0].as_object().at("content").as_array();
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(json::serialize(parts[1]),
            R"({"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}})");
}

TEST(OllamaRequest, ToolCallsAndTheirAnswersFindEachOther) {
  auto const wanted = chat(R"({"model":"m","messages":[
      {"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},
      {"role":"tool","content":"42"}]})");
  auto const& messages = wanted.body.at("messages").as_array();
  auto const& call = messages[0].as_object().at("tool_calls").as_array()[0].as_object();
  EXPECT_EQ(call.at("function").as_object().at("arguments").as_string(), R"({"a":1})");
  EXPECT_EQ(messages[1].as_object().at("tool_call_id"), call.at("id"));
}

TEST(OllamaRequest, ThinkingIsSwitchedInTheTemplate) {
  EXPECT_EQ(json::serialize(chat(R"({"model":"m","think":false})").body.at("chat_template_kwargs")),
            R"({"enable_thinking":false})");
}

TEST(OllamaRequest, KeepAliveIsATimeInAnyForm) {
  EXPECT_EQ(chat(R"({"model":"m","keep_alive":"5m"})").keep_alive, std::chrono::minutes(5));
  EXPECT_EQ(chat(R"({"model":"m","keep_alive":0})").keep_alive, std::chrono::seconds(0));
  EXPECT_NE(chat_error(R"({"model":"m","keep_alive":"soon"})").find("\"keep_alive\""),
            std::string::npos);
}

TEST(OllamaRequest, WithoutMessagesOnlyTheModelIsMeant) {
  EXPECT_TRUE(chat(R"({"model":"m"})").only_load);
  EXPECT_TRUE(read_generate(object(R"({"model":"m"})"))->only_load);
}

TEST(OllamaRequest, APromptIsAChatUnlessItIsRaw) {
  auto const wanted = read_generate(object(R"({"model":"m","prompt":"p","system":"s"})"));
  EXPECT_EQ(json::serialize(wanted->body.at("messages")),
            R"([{"role":"system","content":"s"},{"role":"user","content":"p"}])");
  auto const raw = read_generate(object(R"({"model":"m","prompt":"p","raw":true})"));
  EXPECT_EQ(raw->target, "/v1/completions");
  EXPECT_EQ(raw->body.at("prompt").as_string(), "p");
}

TEST(OllamaRequest, BadFieldsAreNamed) {
  EXPECT_NE(chat_error(R"({"messages":[]})").find("'model'"), std::string::npos);
  EXPECT_NE(chat_error(R"({"model":"m","messages":[5]})").find("'messages'"), std::string::npos);
  EXPECT_NE(chat_error(R"({"model":"m","options":5})").find("'options'"), std::string::npos);
}

TEST(OllamaAnswer, PiecesBecomeLinesAndTheLastHasTheNumbers) {
  Answer answer("m", true);
  EXPECT_TRUE(
      answer.take(R"({"choices":[{"delta":{"role":"assistant","content":null}}]})")->empty());
  auto const lines = answer.take(R"({"choices":[{"delta":{"content":"Hi"}}]})");
  ASSERT_EQ(lines->size(), 1U);
  EXPECT_EQ(lines->at(0).at("message").as_object().at("content").as_string(), "Hi");
  EXPECT_FALSE(lines->at(0).at("done").as_bool());
  EXPECT_TRUE(answer.take(R"({"choices":[{"delta":{},"finish_reason":"length"}]})")->empty());
  EXPECT_TRUE(answer
                  .take(R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2},
                            "timings":{"prompt_ms":1.5,"predicted_ms":2}})")
                  ->empty());
  EXPECT_TRUE(answer.take("[DONE]")->empty());
  auto const last = answer.last(std::chrono::milliseconds(10));
  EXPECT_TRUE(last.at("done").as_bool());
  EXPECT_EQ(last.at("done_reason").as_string(), "length");
  EXPECT_EQ(last.at("total_duration").as_int64(), 10'000'000);
  EXPECT_EQ(last.at("load_duration").as_int64(), 6'500'000);
  EXPECT_EQ(last.at("prompt_eval_count").as_int64(), 3);
  EXPECT_EQ(last.at("eval_count").as_int64(), 2);
  EXPECT_EQ(last.at("eval_duration").as_int64(), 2'000'000);
  auto const whole = answer.whole(std::chrono::milliseconds(10));
  EXPECT_EQ(whole.at("message").as_object().at("content").as_string(), "Hi");
}

TEST(OllamaAnswer, ToolCallsComeWholeInTheLastLine) {
  Answer answer("m", true);
  auto const feed = [&](std::string const& function) {
    EXPECT_TRUE(answer.take(R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":)" +
                            function + "}]}}]}"));
  };
  feed(R"({"name":"f","arguments":""})");
  feed(R"({"arguments":"{\"a\":"})");
  feed(R"({"arguments":"1}"})");
  auto const last = answer.last(std::chrono::seconds(1));
  EXPECT_EQ(json::serialize(last.at("message").as_object().at("tool_calls")),
            R"([{"function":{"name":"f","arguments":{"a":1}}}])");
}

TEST(OllamaAnswer, ThinkingIsApart) {
  Answer answer("m", false);
  auto const lines = answer.take(R"({"choices":[{"delta":{"reasoning_content":"hm"}}]})");
  EXPECT_EQ(lines->at(0).at("thinking").as_string(), "hm");
  EXPECT_EQ(lines->at(0).at("response").as_string(), "");
}

TEST(OllamaAnswer, AnErrorOfTheEngineIsAnError) {
  Answer answer("m", false);
  EXPECT_EQ(answer.take(R"({"error":{"message":"no slot"}})").error().message, "no slot");
  EXPECT_EQ(answer.take("no json").error().code, Code::kDataLoss);
}

TEST(OllamaAnswer, EmbeddingsInBothForms) {
  auto const core = *parse_json(R"({"data":[{"embedding":[1.5,2]}],"usage":{"prompt_tokens":4}})");
  auto const newer = embed_answer("m", core, false, std::chrono::seconds(1));
  EXPECT_EQ(json::serialize(newer->at("embeddings")), "[[1.5E0,2]]");
  EXPECT_EQ(newer->at("prompt_eval_count").as_int64(), 4);
  EXPECT_EQ(json::serialize(embed_answer("m", core, true, {})->at("embedding")), "[1.5E0,2]");
  EXPECT_FALSE(embed_answer("m", json::value(5), false, {}));
}

}  // namespace
}  // namespace homelab::api::ollama
