#include "run_watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;

EngineReport report_of(std::string const& answer, std::size_t piece = 7) {
  AnswerEnds ends;
  for (std::size_t at = 0; at < answer.size(); at += piece) ends.add(answer.substr(at, piece));
  return ends.report();
}

TEST(AnswerEnds, FindsTheTimingsOfAStreamsLastEvent) {
  auto const report = report_of(
      R"(data: {"choices":[{"delta":{"content":"a"}}]}

data: {"choices":[],"usage":{"completion_tokens":9,"prompt_tokens":30,"total_tokens":39},"timings":{"cache_n":10,"prompt_n":20,"prompt_ms":10.0,"predicted_n":9,"predicted_ms":80.0}}

data: [DONE]

)");
  EXPECT_EQ(report.input_tokens, 30);
  EXPECT_EQ(report.cached_tokens, 10);
  EXPECT_EQ(report.output_tokens, 9);
  EXPECT_EQ(report.prefill_tokens_per_second, 2000);
  EXPECT_EQ(report.decode_tokens_per_second, 100);  // eight steps: the first token is the prompt's
}

TEST(AnswerEnds, TheTextOfAnAnswerIsNotMistakenForTheEnginesWord) {
  auto const report =
      report_of(R"({"choices":[{"message":{"content":"{\"usage\":{\"completion_tokens\":999}}"}}],)"
                R"("usage":{"completion_tokens":4,"prompt_tokens":2}})");
  EXPECT_EQ(report.output_tokens, 4);
}

TEST(AnswerEnds, FindsUsageInFrontOfALongBody) {
  auto const report =
      report_of(R"({"model":"m","usage":{"prompt_tokens":6,"total_tokens":6},"data":[)" +
                    std::string(200'000, '1') + "]}",
                1000);
  EXPECT_EQ(report.input_tokens, 6);
  EXPECT_EQ(report.output_tokens, std::nullopt);
}

TEST(AnswerEnds, FindsUsageBehindALongAnswer) {
  auto const report = report_of(R"({"choices":[")" + std::string(500'000, 'x') +
                                    R"("],"usage":{"completion_tokens":5,"prompt_tokens":7}})",
                                60'000);
  EXPECT_EQ(report.input_tokens, 7);
  EXPECT_EQ(report.output_tokens, 5);
}

TEST(AnswerEnds, UnderstandsAnthropicsTwoHalves) {
  auto const report = report_of(
      R"(event: message_start
data: {"type":"message_start","message":{"usage":{"cache_read_input_tokens":4,"input_tokens":6,"output_tokens":0}}}

)" + std::string(100'000, ' ') +
      R"(
event: message_delta
data: {"type":"message_delta","usage":{"output_tokens":12}}

)");
  EXPECT_EQ(report.input_tokens, 10);
  EXPECT_EQ(report.cached_tokens, 4);
  EXPECT_EQ(report.output_tokens, 12);
}

TEST(AnswerEnds, UnderstandsTheNewerFormOfOpenAi) {
  auto const report =
      report_of(R"({"object":"response","usage":{"input_tokens":8,"output_tokens":3,)"
                R"("input_tokens_details":{"cached_tokens":5}}})");
  EXPECT_EQ(report.input_tokens, 8);
  EXPECT_EQ(report.cached_tokens, 5);
  EXPECT_EQ(report.output_tokens, 3);
}

TEST(AnswerEnds, FindsTheEnginesError) {
  AnswerEnds ends;
  ends.add(R"(data: {"error":{"code":500,"message":"out of memory"}})");
  EXPECT_EQ(ends.error(), "out of memory");
  AnswerEnds fine;
  fine.add(R"({"error":null,"choices":[]})");
  EXPECT_EQ(fine.error(), std::nullopt);
}

TEST(AnswerEnds, OddAnswersSayNothing) {
  for (auto const* text : {"", "\"usage\":", "\"usage\":{", "\"usage\":7", "\"usage\":{\"a\"}",
                           "{\"usage\":{\"completion_tokens\":-5}}"}) {
    auto const report = report_of(text);
    EXPECT_EQ(report.output_tokens, std::nullopt) << text;
  }
}

TEST(Timings, OneTokenHasNoSpeed) {
  EngineReport report;
  take_timings({{"prompt_n", 1}, {"prompt_ms", 5.0}, {"predicted_n", 1}, {"predicted_ms", 0.001}},
               report);
  EXPECT_EQ(report.prefill_tokens_per_second, std::nullopt);
  EXPECT_EQ(report.decode_tokens_per_second, std::nullopt);
  EXPECT_EQ(report.output_tokens, 1);
}

TEST(PieceClock, MeasuresTheFirstPieceAndTheTimesBetween) {
  PieceClock::Clock::time_point const begin{};
  PieceClock clock;
  clock.begin(begin);
  EXPECT_EQ(clock.first_ms(), std::nullopt);
  EXPECT_EQ(clock.gaps().mean(), std::nullopt);
  clock.piece(begin + milliseconds(100));
  clock.piece(begin + milliseconds(110));
  clock.piece(begin + milliseconds(140));
  EXPECT_EQ(clock.first_ms(), 100);
  EXPECT_EQ(clock.gaps().mean(), 20);
  EXPECT_EQ(clock.gaps().max(), 30);
}

TEST(Gaps, PercentilesAreRightWithinATenth) {
  Gaps gaps;
  for (int i = 1; i <= 1000; ++i) gaps.add(i);
  EXPECT_NEAR(*gaps.quantile(0.5), 500, 50);
  EXPECT_NEAR(*gaps.quantile(0.95), 950, 95);
  EXPECT_LE(*gaps.quantile(1), 1000);
}

TEST(EventData, ACommentAloneIsNone) {
  EXPECT_FALSE(has_event_data(":\n\n"));
  EXPECT_FALSE(has_event_data(": ping\n\n"));
  EXPECT_TRUE(has_event_data("data: {}\n\n"));
  EXPECT_TRUE(has_event_data("event: x\ndata: {}\n\n"));
}

}  // namespace
}  // namespace homelab::engine
