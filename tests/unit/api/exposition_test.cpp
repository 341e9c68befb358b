#include "exposition.h"

#include <gtest/gtest.h>

#include <limits>

#include "api/metrics.h"

namespace homelab::api {
namespace {

constexpr std::array kBounds{0.5, 1.0};

std::string count_of(std::string const& text, std::string const& series) {
  auto const at = text.find(series + " ");
  if (at == std::string::npos) return "none";
  auto const begin = at + series.size() + 1;
  return text.substr(begin, text.find('\n', begin) - begin);
}

std::string text_of(Metrics const& metrics) {
  Exposition out;
  metrics.write(out);
  return std::move(out).take();
}

TEST(Exposition, WritesHelpTypeAndSamples) {
  Exposition out;
  out.metric("a_total", "counter", "What it is.");
  out.sample({}, 3);
  out.sample({{"model", "m"}, {"route", "/x"}}, 0.25);
  EXPECT_EQ(std::move(out).take(),
            "# HELP a_total What it is.\n# TYPE a_total counter\na_total 3\n"
            "a_total{model=\"m\",route=\"/x\"} 0.25\n");
}

TEST(Exposition, EscapesWhatWouldEndALabelOrALine) {
  Exposition out;
  out.metric("a", "gauge", "one\\two\nthree \"four\"");
  out.sample({{"model", "a\"b\\c\nd"}}, 1);
  EXPECT_EQ(std::move(out).take(),
            "# HELP a one\\\\two\\nthree \"four\"\n# TYPE a gauge\n"
            "a{model=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST(Exposition, WritesNumbersThatAreNoneInItsOwnWords) {
  Exposition out;
  out.metric("a", "gauge", "x");
  out.sample({}, std::numeric_limits<double>::quiet_NaN());
  out.sample({}, std::numeric_limits<double>::infinity());
  out.sample({}, 123456789012.0);
  EXPECT_EQ(std::move(out).take(), "# HELP a x\n# TYPE a gauge\na NaN\na +Inf\na 123456789012\n");
}

TEST(Exposition, AHistogramsBucketsAddUp) {
  Histogram histogram(kBounds);
  for (double const value : {0.1, 0.5, 0.7, 2.0}) histogram.add(value);
  Exposition out;
  out.metric("t", "histogram", "x");
  out.histogram({{"m", "a"}}, histogram);
  EXPECT_EQ(std::move(out).take(),
            "# HELP t x\n# TYPE t histogram\n"
            "t_bucket{m=\"a\",le=\"0.5\"} 2\nt_bucket{m=\"a\",le=\"1\"} 3\n"
            "t_bucket{m=\"a\",le=\"+Inf\"} 4\nt_sum{m=\"a\"} 3.3\nt_count{m=\"a\"} 4\n");
}

registry::PerformanceRow good_run() {
  registry::PerformanceRow row;
  row.endpoint = "/api/generate";
  row.input_tokens = 10;
  row.output_tokens = 20;
  row.total_inference_ms = 1500;
  row.time_to_first_token_ms = 80;
  row.queue_wait_ms = 3;
  return row;
}

TEST(Metrics, CountsRunsByOutcomeAndTimesOfThoseThatSucceeded) {
  Metrics metrics;
  metrics.run_ended("m", good_run());
  auto failed = good_run();
  failed.error_occurred = true;
  metrics.run_ended("m", failed);
  failed.error_code = "cancelled";
  metrics.run_ended("m", failed);
  auto const text = text_of(metrics);
  std::string const runs = R"(homelab_llm_runs_total{model="m",endpoint="/api/generate",outcome=)";
  EXPECT_EQ(count_of(text, runs + "\"ok\"}"), "1");
  EXPECT_EQ(count_of(text, runs + "\"error\"}"), "1");
  EXPECT_EQ(count_of(text, runs + "\"cancelled\"}"), "1");
  EXPECT_EQ(count_of(text, R"(homelab_llm_generated_tokens_total{model="m"})"), "60");
  EXPECT_EQ(count_of(text, R"(homelab_llm_run_duration_seconds_count{model="m"})"), "1");
  EXPECT_EQ(count_of(text, R"(homelab_llm_run_duration_seconds_sum{model="m"})"), "1.5");
  EXPECT_EQ(count_of(text, R"(homelab_llm_time_to_first_token_seconds_bucket{model="m",le="0.1"})"),
            "1");
  EXPECT_EQ(count_of(text, R"(homelab_llm_queue_wait_seconds_count{model="m"})"), "3");
}

TEST(Metrics, ManyModelsAreABoundedNumberOfSeries) {
  Metrics metrics;
  for (int i = 0; i < 300; ++i) metrics.run_ended("m" + std::to_string(i), good_run());
  metrics.run_ended("m5", good_run());
  auto const text = text_of(metrics);
  EXPECT_EQ(count_of(text, R"(homelab_llm_generated_tokens_total{model="other"})"), "4000");
  EXPECT_EQ(count_of(text, R"(homelab_llm_generated_tokens_total{model="m5"})"), "40");
  EXPECT_EQ(count_of(text, R"(homelab_llm_generated_tokens_total{model="m100"})"), "none");
}

TEST(Metrics, RequestsAreCountedByPatternAndKnownMethod) {
  Metrics metrics;
  metrics.answered("GET", "/api/models/{name}", 200, std::chrono::milliseconds(2));
  metrics.answered("BREW", "", 404, std::chrono::milliseconds(1));
  metrics.answered("MAKE", "", 404, std::chrono::milliseconds(1));
  auto const text = text_of(metrics);
  EXPECT_EQ(
      count_of(
          text,
          R"(homelab_llm_http_requests_total{method="GET",route="/api/models/{name}",status="200"})"),
      "1");
  EXPECT_EQ(
      count_of(text,
               R"(homelab_llm_http_requests_total{method="other",route="unmatched",status="404"})"),
      "2");
}

}  // namespace
}  // namespace homelab::api
