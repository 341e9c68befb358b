#include "duration.h"

#include <gtest/gtest.h>

namespace homelab::api {
namespace {

using std::chrono::seconds;

TEST(Duration, ReadsNumbersAndUnits) {
  EXPECT_EQ(parse_duration("90"), seconds(90));
  EXPECT_EQ(parse_duration("90s"), seconds(90));
  EXPECT_EQ(parse_duration("5m"), seconds(300));
  EXPECT_EQ(parse_duration("1h30m"), seconds(5400));
  EXPECT_EQ(parse_duration("1h0m5s"), seconds(3605));
  EXPECT_EQ(parse_duration("2500ms"), seconds(2));
  EXPECT_EQ(parse_duration(" 0 "), seconds(0));
}

TEST(Duration, BelowZeroIsAllowed) {
  EXPECT_EQ(parse_duration("-1"), seconds(-1));
  EXPECT_EQ(parse_duration("-1m"), seconds(-60));
}

TEST(Duration, EverythingElseIsNot) {
  for (auto const* text : {"", "-", "s", "5x", "5 m", "m5", "1.5h", "--1", "99999999999", "5m-1s"})
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

}  // namespace
}  // namespace homelab::api
