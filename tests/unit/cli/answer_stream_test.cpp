#include "answer_stream.h"

#include <gtest/gtest.h>

namespace homelab::cli {
namespace {

TEST(GenerateEvent, GivesTheTextOfATokenEvent) {
  auto const piece = read_generate_event(R"({"type":"token","text":" Par\u00eds"})");
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->text, " París");
  EXPECT_FALSE(piece->last);
}

TEST(GenerateEvent, IsOverWithDoneAndKeepsItsNumbers) {
  auto const start = read_generate_event(R"({"type":"start","input_tokens":3})");
  ASSERT_TRUE(start);
  EXPECT_TRUE(start->text.empty());
  EXPECT_FALSE(start->last);
  auto const done = read_generate_event(
      R"({"type":"done","input_tokens":3,"output_tokens":12,"total_tokens":15,"inference_time_ms":410.0,)"
      R"("ttft_ms":35.2,"tokens_per_second":29.27})");
  ASSERT_TRUE(done);
  EXPECT_TRUE(done->last);
  EXPECT_FALSE(done->stats.contains("type"));
  EXPECT_EQ(stats_line(done->stats), "12 tokens in 0.41 s, 29.3 tokens/s, first after 35 ms");
}

TEST(GenerateEvent, TurnsAnErrorEventIntoAnError) {
  auto const piece = read_generate_event(R"({"type":"error","error":"engine killed by signal 9"})");
  ASSERT_FALSE(piece);
  EXPECT_EQ(piece.error().message, "engine killed by signal 9");
  auto const empty = read_generate_event(R"({"type":"error","error":""})");
  ASSERT_FALSE(empty);
  EXPECT_FALSE(empty.error().message.empty());
}

TEST(GenerateEvent, RefusesWhatIsNoObject) {
  EXPECT_FALSE(read_generate_event("[1]"));
  EXPECT_FALSE(read_generate_event("{"));
  EXPECT_FALSE(read_generate_event(""));
}

TEST(ChatEvent, GivesTheDeltaOfTheFirstChoice) {
  auto const piece = read_chat_event(R"({"choices":[{"index":0,"delta":{"content":"Hi"}}]})");
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->text, "Hi");
}

TEST(ChatEvent, HasNoTextInRoleAndEndEvents) {
  for (auto const* data :
       {R"({"choices":[{"delta":{"role":"assistant","content":null}}]})",
        R"({"choices":[{"delta":{},"finish_reason":"stop"}]})", R"({"choices":[]})", "{}"}) {
    auto const piece = read_chat_event(data);
    ASSERT_TRUE(piece) << data;
    EXPECT_TRUE(piece->text.empty()) << data;
    EXPECT_FALSE(piece->last) << data;
  }
}

TEST(ChatEvent, IsOverWithTheDoneWord) {
  auto const piece = read_chat_event(" [DONE]");
  ASSERT_TRUE(piece);
  EXPECT_TRUE(piece->last);
}

TEST(ChatEvent, ShowsTheEnginesTimings) {
  auto const piece = read_chat_event(
      R"({"choices":[{"delta":{}}],"timings":{"prompt_n":10,"prompt_ms":20.0,"predicted_n":40,)"
      R"("predicted_ms":980.0,"predicted_per_second":40.8}})");
  ASSERT_TRUE(piece);
  EXPECT_EQ(stats_line(piece->stats), "40 tokens in 1.00 s, 40.8 tokens/s");
}

TEST(ChatEvent, TurnsAnErrorIntoAnError) {
  auto const piece = read_chat_event(R"({"error":{"message":"context is full","code":400}})");
  ASSERT_FALSE(piece);
  EXPECT_EQ(piece.error().message, "context is full");
}

TEST(StatsLine, SaysNothingWithoutNumbers) { EXPECT_EQ(stats_line({}), ""); }

}  // namespace
}  // namespace homelab::cli
