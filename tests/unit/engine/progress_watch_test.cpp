#include "progress_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temp_dir.h"

namespace homelab::engine {
namespace {

using std::chrono::seconds;
using Time = ProgressWatch::Time;

constexpr seconds kPatience{100};

/// An engine that does nothing, from the beginning until `at`.
class ProgressWatchTest : public testing::Test {
 protected:
  bool hangs(int at_s, WorkSample const& sample, bool has_work = true) {
    return watch_.hangs(sample, has_work, Time() + seconds(at_s));
  }
  ProgressWatch watch_{kPatience};
};

TEST_F(ProgressWatchTest, AnEngineThatDoesNothingForAllThePatienceHangs) {
  EXPECT_FALSE(hangs(0, {}));
  EXPECT_FALSE(hangs(99, {}));
  EXPECT_TRUE(hangs(100, {}));
}

TEST_F(ProgressWatchTest, WithoutWorkItMayDoNothing) {
  EXPECT_FALSE(hangs(0, {}, false));
  EXPECT_FALSE(hangs(1000, {}, false));
  EXPECT_FALSE(hangs(1001, {}, true));
  EXPECT_FALSE(hangs(1099, {}, true));
  EXPECT_TRUE(hangs(1101, {}, true));
}

TEST_F(ProgressWatchTest, EachKindOfWorkIsProgress) {
  WorkSample sample;
  EXPECT_FALSE(hangs(0, sample));
  sample.heard = 1;
  EXPECT_FALSE(hangs(100, sample));
  sample.cpu_ms += 200;
  EXPECT_FALSE(hangs(200, sample));
  sample.major_faults = 1;
  EXPECT_FALSE(hangs(300, sample));
  sample.resident_bytes += 1U << 20U;
  EXPECT_FALSE(hangs(400, sample));
  sample.busy_thread = true;
  EXPECT_FALSE(hangs(500, sample));
  EXPECT_FALSE(hangs(900, sample)) << "still busy";
  sample.busy_thread = false;
  EXPECT_TRUE(hangs(1000, sample));
}

TEST_F(ProgressWatchTest, LookingAtTheClockNowAndThenIsNoWork) {
  WorkSample sample;
  EXPECT_FALSE(hangs(0, sample));
  for (int s = 10; s < 100; s += 10) {
    sample.cpu_ms += 10;
    EXPECT_FALSE(hangs(s, sample)) << s;
  }
  EXPECT_TRUE(hangs(100, sample));
}

TEST_F(ProgressWatchTest, AProcessThatComputesLittleButSteadilyWorks) {
  WorkSample sample;
  for (int s = 0; s < 1000; s += 10) {
    sample.cpu_ms += 50;  // half a percent of a processor
    EXPECT_FALSE(hangs(s, sample)) << s;
  }
}

TEST(ReadWork, ReadsWhatTheKernelCounts) {
  test::TempDir proc;
  // The name may hold anything.
  proc.write("7/stat",
             "7 (a) b) S 1 2 3 0 -1 4194304 100 0 9 0 150 50 0 0 20 0 2 0 4953882 16961536 10 "
             "18446744073709551615 1\n");
  proc.write("7/task/7/stat", "7 (a) S 1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 2 0 1 1 1 1\n");
  proc.write("7/task/8/stat", "8 (b) S 1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 2 0 1 1 1 1\n");
  auto const sample = read_work(7, proc.path().string());
  ASSERT_TRUE(sample);
  EXPECT_EQ(sample->cpu_ms, 200U * 1000 / static_cast<unsigned>(::sysconf(_SC_CLK_TCK)));
  EXPECT_EQ(sample->major_faults, 9U);
  EXPECT_EQ(sample->resident_bytes, 10U * static_cast<unsigned>(::sysconf(_SC_PAGESIZE)));
  EXPECT_FALSE(sample->busy_thread);
  proc.write("7/task/8/stat", "8 (b) D 1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 2 0 1 1 1 1\n");
  EXPECT_TRUE(read_work(7, proc.path().string())->busy_thread);
}

TEST(ReadWork, SeesItselfAtWorkAndNobodyElse) {
  auto const own = read_work(::getpid());
  ASSERT_TRUE(own);
  EXPECT_TRUE(own->busy_thread);
  EXPECT_GT(own->resident_bytes, 0U);
  EXPECT_FALSE(read_work(0));
  EXPECT_NE(describe_threads(::getpid()).find(" R"), std::string::npos);
}

}  // namespace
}  // namespace homelab::engine
