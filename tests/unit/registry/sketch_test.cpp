#include "sketch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace homelab::registry {
namespace {

std::vector<double> some_values(std::size_t count) {
  std::mt19937 random(42);
  std::lognormal_distribution<double> distribution(3, 1.5);
  std::vector<double> values;
  for (std::size_t i = 0; i < count; ++i) values.push_back(distribution(random));
  return values;
}

double true_quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

TEST(Sketch, EveryPercentileIsRightWithinOnePercent) {
  auto const values = some_values(10'000);
  Sketch sketch;
  for (double const value : values) sketch.add(value);
  for (double const q : {0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 1.0}) {
    double const exact = true_quantile(values, q);
    EXPECT_NEAR(*sketch.quantile(q), exact, exact * 1.0001 * Sketch::kAccuracy) << q;
  }
}

TEST(Sketch, WithoutValuesThereIsNoPercentile) {
  EXPECT_EQ(Sketch().quantile(0.5), std::nullopt);
  EXPECT_EQ(Sketch().encoded(), "");
}

TEST(Sketch, ComesBackFromItsText) {
  Sketch sketch;
  for (double const value : some_values(1000)) sketch.add(value);
  Sketch again;
  ASSERT_TRUE(again.add_encoded(sketch.encoded()));
  EXPECT_EQ(again.count(), 1000U);
  EXPECT_EQ(again.encoded(), sketch.encoded());
  EXPECT_EQ(again.quantile(0.9), sketch.quantile(0.9));
}

TEST(Sketch, TwoAddUpToThatOfAllValues) {
  auto const values = some_values(1000);
  Sketch all, first, second;
  for (std::size_t i = 0; i < values.size(); ++i) {
    all.add(values[i]);
    (i % 3 == 0 ? first : second).add(values[i]);
  }
  ASSERT_TRUE(first.add_encoded(second.encoded()));
  EXPECT_EQ(first.encoded(), all.encoded());
}

TEST(Sketch, LeavesOutWhatIsNoNumberAndBoundsTheRest) {
  Sketch sketch;
  sketch.add(std::numeric_limits<double>::quiet_NaN());
  sketch.add(std::numeric_limits<double>::infinity());
  EXPECT_EQ(sketch.count(), 0U);
  sketch.add(-5);
  sketch.add(0);
  sketch.add(1e300);
  EXPECT_EQ(sketch.count(), 3U);
  EXPECT_NEAR(*sketch.quantile(0), 0.001, 0.0001);
  EXPECT_NEAR(*sketch.quantile(1), 1e9, 2e7);
}

TEST(Sketch, ATextThatIsNoneIsRefused) {
  for (auto const& text : {std::string("\x80"), std::string("\x05"),
                           std::string("\xff\xff\x7f\x01"), std::string(10, '\xff') + "\x01\x01"})
    EXPECT_FALSE(Sketch().add_encoded(text));
}

}  // namespace
}  // namespace homelab::registry
