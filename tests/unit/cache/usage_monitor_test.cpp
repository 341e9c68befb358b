#include "cache/usage_monitor.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "support/temp_dir.h"

namespace homelab::cache {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr double kBytesPerGb = 1024.0 * 1024.0 * 1024.0;

class UsageMonitorTest : public ::testing::Test {
 protected:
  void put(std::string const& name, std::size_t bytes) const {
    fs::create_directories(dir_ / "one/hub/models--a--b/blobs");
    std::ofstream(dir_ / "one/hub/models--a--b/blobs" / name) << std::string(bytes, 'x');
  }
  [[nodiscard]] static double bytes_of(std::vector<LocationUsage> const& usage) {
    return usage.at(0).space.cache_size_gb * kBytesPerGb;
  }
  test::TempDir dir_;
  Locations locations_{{(dir_ / "one").string(), std::nullopt, 100, "environment"},
                       {(dir_ / "two").string(), std::nullopt, 200, "default"},
                       0.9};
};

TEST_F(UsageMonitorTest, TheFirstQuestionIsAnsweredWithAMeasurement) {
  put(std::string(64, 'a'), 5000);
  UsageMonitor monitor(locations_, 1h);
  auto const usage = monitor.latest(30s);
  ASSERT_EQ(usage.size(), 2U);
  EXPECT_EQ(usage[0].kind, LocationKind::kPrimary);
  EXPECT_DOUBLE_EQ(bytes_of(usage), 5000);
  EXPECT_EQ(usage[0].degraded, "");
  EXPECT_NE(usage[0].measured_at, UtcTime());
  EXPECT_EQ(usage[1].space.limit_gb, 200);
}

TEST_F(UsageMonitorTest, OnlyTheMonitorLeavesAnIndex) {
  put(std::string(64, 'a'), 5000);
  fs::path const own = dir_ / "one/hub/.locks";
  EXPECT_GT(locations_.check_space(locations_.primary(), 0).cache_size_gb, 0);
  EXPECT_FALSE(fs::exists(own));
  UsageMonitor monitor(locations_, 1h);
  EXPECT_DOUBLE_EQ(bytes_of(monitor.latest(30s)), 5000);
  EXPECT_TRUE(fs::exists(own));
}

TEST_F(UsageMonitorTest, AChangeIsSeenOnceItWasTold) {
  UsageMonitor monitor(locations_, 1h);
  auto const first = monitor.latest(30s);
  EXPECT_DOUBLE_EQ(bytes_of(first), 0);
  put(std::string(64, 'b'), 700);
  monitor.refresh_soon();
  auto now = monitor.latest(30s);
  for (auto const until = std::chrono::steady_clock::now() + 30s;
       now[0].measured_at == first[0].measured_at && std::chrono::steady_clock::now() < until;)
    now = monitor.latest(30s);
  EXPECT_DOUBLE_EQ(bytes_of(now), 700);
}

TEST_F(UsageMonitorTest, WithoutTimeToMeasureItGivesWhatNeedsNoDisk) {
  UsageMonitor monitor(locations_, 1h);
  auto const usage = monitor.latest(0ms);
  ASSERT_EQ(usage.size(), 2U);
  EXPECT_EQ(usage[0].space.path, locations_.primary().root);
  EXPECT_EQ(usage[1].space.limit_gb, 200);
}

TEST_F(UsageMonitorTest, NobodyAskedNothingMeasured) {
  UsageMonitor monitor(locations_, 1ms);
  monitor.refresh_soon();  // ends at once, although nothing ever ran
}

TEST_F(UsageMonitorTest, ADriveThatIsAwayMakesTheLocationDegraded) {
  std::ofstream(dir_ / "two") << "no folder";
  UsageMonitor monitor(locations_, 1h);
  auto const usage = monitor.latest(30s);
  EXPECT_EQ(usage[0].degraded, "");
  EXPECT_NE(usage[1].degraded.find("is not a folder"), std::string::npos);
}

}  // namespace
}  // namespace homelab::cache
