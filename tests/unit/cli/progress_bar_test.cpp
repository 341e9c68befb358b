#include "progress_bar.h"

#include <gtest/gtest.h>

#include "table.h"

namespace homelab::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

RateMeter::Time at(milliseconds offset) { return RateMeter::Time{} + offset; }

ProgressState half() {
  ProgressState state;
  state.label = "Downloading";
  state.total_bytes = 100'000'000;
  state.done_bytes = 50'000'000;
  state.total_files = 4;
  state.finished_files = 1;
  state.bytes_per_second = 10'000'000;
  return state;
}

TEST(RateMeter, SaysNothingBeforeHalfASecond) {
  RateMeter meter;
  EXPECT_FALSE(meter.bytes_per_second());
  meter.sample(at(milliseconds(0)), 0);
  meter.sample(at(milliseconds(400)), 1000);
  EXPECT_FALSE(meter.bytes_per_second());
  meter.sample(at(milliseconds(1000)), 2000);
  ASSERT_TRUE(meter.bytes_per_second());
  EXPECT_DOUBLE_EQ(*meter.bytes_per_second(), 2000.0);
}

TEST(RateMeter, FollowsTheLastSecondsOnly) {
  RateMeter meter;
  for (int i = 0; i <= 100; ++i)
    meter.sample(at(milliseconds(i * 100)), static_cast<std::uint64_t>(i) * 1000);
  auto const before = *meter.bytes_per_second();
  EXPECT_NEAR(before, 10'000.0, 1.0);
  for (int i = 1; i <= 60; ++i) meter.sample(at(seconds(10) + milliseconds(i * 100)), 100'000);
  EXPECT_DOUBLE_EQ(*meter.bytes_per_second(), 0.0);
}

TEST(RateMeter, StartsOverWhenTheCountFallsBack) {
  RateMeter meter;
  meter.sample(at(seconds(0)), 5000);
  meter.sample(at(seconds(1)), 9000);
  meter.sample(at(seconds(2)), 100);
  EXPECT_FALSE(meter.bytes_per_second());
  meter.sample(at(seconds(3)), 300);
  EXPECT_DOUBLE_EQ(*meter.bytes_per_second(), 200.0);
}

TEST(RenderBar, ShowsEverythingWhereThereIsRoom) {
  EXPECT_EQ(render_bar(half(), 120),
            "Downloading  [################................]   50 %  50.0 MB of 100.0 MB  10.0 MB/s"
            "  5 s left  1/4 files");
}

TEST(RenderBar, FitsEveryWidth) {
  for (std::size_t columns = 0; columns < 200; ++columns) {
    std::string const line = render_bar(half(), columns);
    EXPECT_LE(display_width(line), columns);
    if (columns >= 40) {
      EXPECT_NE(line.find("50 %"), std::string::npos) << columns;
    }
  }
}

TEST(RenderBar, HasNoBarWithoutATotal) {
  ProgressState state;
  state.label = "Asking";
  EXPECT_EQ(render_bar(state, 80), "Asking");
  state.done_bytes = 2'000'000;
  EXPECT_EQ(render_bar(state, 80), "Asking  2.0 MB");
}

TEST(RenderBar, SaysHundredPercentOnlyWhenComplete) {
  auto state = half();
  state.done_bytes = state.total_bytes - 1;
  EXPECT_NE(render_bar(state, 120).find(" 99 %"), std::string::npos);
  state.done_bytes = state.total_bytes;
  EXPECT_NE(render_bar(state, 120).find("100 %"), std::string::npos);
  EXPECT_EQ(render_bar(state, 120).find("left"), std::string::npos);
}

TEST(RenderBar, SurvivesMoreThanTheTotal) {
  auto state = half();
  state.done_bytes = state.total_bytes * 3;
  EXPECT_NE(render_bar(state, 120).find("100 %"), std::string::npos);
}

TEST(RenderBar, NeverCutsALetterInTwo) {
  ProgressState state;
  state.label = "日本語の";
  for (std::size_t columns = 0; columns < 12; ++columns) {
    std::string const line = render_bar(state, columns);
    EXPECT_LE(display_width(line), columns);
    EXPECT_EQ(printable(line), line);
  }
}

TEST(RenderBar, ShortensALongNameBeforeTheNumbers) {
  auto state = half();
  state.label = "Downloading Organization-With-A-Name/Model-With-A-Very-Long-Name-Instruct-GGUF";
  std::string const line = render_bar(state, 79);
  EXPECT_EQ(line.find("Downloading Organization-"), 0U);
  EXPECT_NE(line.find("…"), std::string::npos);
  EXPECT_NE(line.find("50.0 MB of 100.0 MB"), std::string::npos) << line;
  EXPECT_LE(display_width(line), 79U);
}

TEST(RenderLine, SaysTheSameInWords) {
  EXPECT_EQ(render_line(half()),
            "Downloading: 50 % (50.0 MB of 100.0 MB), 10.0 MB/s, 5 s left, 1/4 files");
  ProgressState state;
  state.label = "Asking the Hub";
  EXPECT_EQ(render_line(state), "Asking the Hub");
}

TEST(RenderLine, LeavesTheTimeOutWhenNothingMoves) {
  auto state = half();
  state.bytes_per_second = 0;
  EXPECT_EQ(render_line(state), "Downloading: 50 % (50.0 MB of 100.0 MB), 0 B/s, 1/4 files");
}

TEST(HumanDuration, ShowsTwoUnitsAtMost) {
  EXPECT_EQ(human_duration(seconds(0)), "0 s");
  EXPECT_EQ(human_duration(seconds(59)), "59 s");
  EXPECT_EQ(human_duration(seconds(125)), "2 min 05 s");
  EXPECT_EQ(human_duration(seconds(3 * 3600 + 7 * 60 + 5)), "3 h 07 min");
  EXPECT_EQ(human_duration(seconds(2 * 86400 + 4 * 3600)), "2 d 4 h");
}

}  // namespace
}  // namespace homelab::cli
