#include "http/sse_parser.h"

#include <gtest/gtest.h>

namespace homelab::http {
namespace {

std::vector<SseEvent> parse(std::string_view text, std::size_t piece_bytes) {
  SseParser parser;
  std::vector<SseEvent> events;
  for (std::size_t at = 0; at < text.size(); at += piece_bytes)
    EXPECT_TRUE(parser.feed(text.substr(at, piece_bytes), events));
  return events;
}

TEST(SseParser, GivesTheSameEventsHoweverTheBytesAreCut) {
  std::string_view const stream =
      "\xEF\xBB\xBF"
      "data: {\"a\":1}\n\n"
      ": a comment\r\n"
      "event: error\r\ndata: first\r\ndata:second\r\ndata:  third\r\n\r\n"
      "id: 7\rretry: 10\rdata\r\r"
      "event: lost\n\n"
      "data: [DONE]\n\n";
  std::vector<SseEvent> const expected = {
      {"", "{\"a\":1}"}, {"error", "first\nsecond\n third"}, {"", ""}, {"", "[DONE]"}};
  for (std::size_t piece_bytes = 1; piece_bytes <= stream.size(); ++piece_bytes)
    EXPECT_EQ(parse(stream, piece_bytes), expected) << "pieces of " << piece_bytes;
}

TEST(SseParser, GivesNoEventBeforeItsEmptyLine) {
  EXPECT_TRUE(parse("data: half\n", 100).empty());
  EXPECT_TRUE(parse("data: half", 100).empty());
}

TEST(SseParser, DoesNotCarryTheNameOfAnEventToTheNext) {
  std::vector<SseEvent> const expected = {{"a", "1"}, {"", "2"}};
  EXPECT_EQ(parse("event: a\ndata: 1\n\ndata: 2\n\n", 5), expected);
}

TEST(SseParser, StopsAtALineThatIsTooLong) {
  SseParser parser(16);
  std::vector<SseEvent> events;
  EXPECT_TRUE(parser.feed("data: 0123456789", events));
  auto const status = parser.feed("x", events);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kResourceExhausted);
  EXPECT_FALSE(parser.feed("\n\n", events));
  EXPECT_TRUE(events.empty());
}

TEST(SseParser, StopsAtAnEventThatIsTooLong) {
  SseParser parser(16);
  std::vector<SseEvent> events;
  EXPECT_TRUE(parser.feed("data: 01234567\n", events));
  EXPECT_FALSE(parser.feed("data: 01234567\n", events));
}

}  // namespace
}  // namespace homelab::http
