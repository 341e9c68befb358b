#include "base/time.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <string>

namespace homelab {
namespace {

using namespace std::chrono_literals;

/// A fixed zone with summer time while the test runs.
class TimeTest : public ::testing::Test {
 protected:
  TimeTest() {
    if (char const* zone = std::getenv("TZ")) before_ = zone;
    ::setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    ::tzset();
  }
  ~TimeTest() override {
    if (before_.empty())
      ::unsetenv("TZ");
    else
      ::setenv("TZ", before_.c_str(), 1);
    ::tzset();
  }
  static UtcTime at(char const* text) { return parse_database_text(text).value(); }

 private:
  std::string before_;
};

TEST_F(TimeTest, DatabaseTextIsUtcAndReadsBack) {
  UtcTime const time{1763314992445678us};
  EXPECT_EQ(to_database_text(time), "2025-11-16 17:43:12.445678");
  EXPECT_EQ(parse_database_text("2025-11-16 17:43:12.445678"), time);
  EXPECT_EQ(to_database_text(UtcTime{}), "1970-01-01 00:00:00.000000");
}

TEST_F(TimeTest, TimesBefore1970ReadBackToo) {
  UtcTime const time{-1us};
  EXPECT_EQ(to_database_text(time), "1969-12-31 23:59:59.999999");
  EXPECT_EQ(parse_database_text(to_database_text(time)), time);
}

TEST_F(TimeTest, FractionsMayBeShortOrMissing) {
  auto const second = at("2025-11-16 17:43:12");
  EXPECT_EQ(at("2025-11-16T17:43:12.5"), second + 500ms);
  EXPECT_EQ(at("2025-11-16 17:43:12.000001"), second + 1us);
  EXPECT_EQ(at("2025-11-16 17:43:12.05"), second + 50ms);
}

TEST_F(TimeTest, AnythingElseIsRefused) {
  for (auto const* text : {"",
                           "2025-11-16",
                           "2025-11-16 17:43",
                           "2025-11-16 17:43:1",
                           "2025-13-01 00:00:00",
                           "2025-02-29 00:00:00",
                           "2025-11-16 24:00:00",
                           "2025-11-16 00:60:00",
                           "2025-11-16 00:00:61",
                           "2025-11-16 00:00:00.",
                           "2025-11-16 00:00:00.1234567",
                           "2025-11-16 00:00:00Z",
                           "2025-11-16 00:00:00+01:00",
                           "2025/11/16 00:00:00",
                           "2025-11-16 -1:00:00",
                           "2025-11-16 00:-1:00",
                           "2025-11-16 00:00:-1",
                           "-025-11-16 00:00:00",
                           "2025-11-16 00:00:00.-5",
                           "now",
                           "2025-11-16 00:00:0x"})
    EXPECT_EQ(parse_database_text(text), std::nullopt) << text;
  EXPECT_TRUE(parse_database_text("2024-02-29 00:00:00"));
}

TEST_F(TimeTest, LocalTextIsTheMachinesWallClock) {
  EXPECT_EQ(to_local_iso(at("2025-11-16 16:43:12.445678")), "2025-11-16T17:43:12.445678");
  EXPECT_EQ(to_local_iso(at("2025-07-01 22:30:00")), "2025-07-02T00:30:00.000000");
}

TEST_F(TimeTest, UtcTextHasMillisecondsAndZ) {
  EXPECT_EQ(to_iso_utc(at("2025-11-16 17:43:12.445678")), "2025-11-16T17:43:12.445Z");
}

TEST_F(TimeTest, WallClockReadingsBecomeUtc) {
  EXPECT_EQ(local_to_utc(at("2025-11-16 17:43:12.445678")), at("2025-11-16 16:43:12.445678"));
  EXPECT_EQ(local_to_utc(at("2025-07-01 12:00:00.000001")), at("2025-07-01 10:00:00.000001"));
  EXPECT_EQ(local_to_utc(at("2025-01-01 00:30:00")), at("2024-12-31 23:30:00"));
}

TEST_F(TimeTest, TheClockIsTheSystems) {
  auto const now = std::time(nullptr);
  auto const ours =
      std::chrono::duration_cast<std::chrono::seconds>(utc_now().time_since_epoch()).count();
  EXPECT_LE(std::abs(ours - now), 5);
}

}  // namespace
}  // namespace homelab
