#include "registry/runs.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "registry/registry.h"
#include "run_figures.h"
#include "run_rows.h"
#include "support/temp_dir.h"

namespace homelab::registry {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;

class RunsTest : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open(Retention retention = {}) {
    registry_.reset();
    auto opened = Registry::open(file(), retention);
    ASSERT_TRUE(opened) << opened.error().message;
    registry_ = *std::move(opened);
    if (!model_) model_ = registry_->add({"smol", "org/smol", false, "primary", {}})->id;
  }
  [[nodiscard]] std::filesystem::path file() const { return folder_ / "models.db"; }

  PerformanceRow run(UtcTime time, double speed = 50) const {
    PerformanceRow row;
    row.timestamp = time;
    row.model_registry_id = model_;
    row.model_name = "smol";
    row.model_version = "aaaa";
    row.engine_version = "1";
    row.endpoint = "/api/generate";
    row.input_tokens = 10;
    row.output_tokens = 20;
    row.total_inference_ms = 500;
    row.time_to_first_token_ms = 100;
    row.tokens_per_second = speed / 2;
    row.decode_tokens_per_second = speed;
    row.prefill_tokens_per_second = speed * 10;
    return row;
  }
  void log(PerformanceRow row) { registry_->log_performance(std::move(row)); }
  RunAnswer ask(RunQuestion const& question) {
    registry_->flush();
    auto answer = registry_->run_figures(question);
    EXPECT_TRUE(answer) << answer.error().message;
    return answer ? *answer : RunAnswer();
  }
  std::int64_t count(std::string const& sql) const {
    SQLite::Database database(file().string(), SQLite::OPEN_READONLY, 10'000);
    return database.execAndGet(sql).getInt64();
  }
  void eventually(std::string const& sql, std::int64_t wanted) const {
    for (int i = 0; i < 3000 && count(sql) != wanted; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_EQ(count(sql), wanted) << sql;
  }

  test::TempDir folder_;
  std::unique_ptr<Registry> registry_;
  std::optional<std::int64_t> model_;
  UtcTime const now_ = utc_now();
  UtcTime const today_ = std::chrono::floor<days>(now_);
};

TEST_F(RunsTest, AllRunsAreOneGroupWithPercentiles) {
  for (int i = 1; i <= 100; ++i) log(run(now_ - 1min, i));
  auto const answer = ask({});
  ASSERT_EQ(answer.groups.size(), 1U);
  EXPECT_TRUE(answer.complete);
  auto const& all = answer.groups.front();
  EXPECT_EQ(all.runs, 100);
  EXPECT_EQ(all.input_tokens, 1000);
  EXPECT_EQ(all.output_tokens, 2000);
  ASSERT_TRUE(all.decode_tokens_per_second);
  EXPECT_NEAR(all.decode_tokens_per_second->p50, 50, 1);
  EXPECT_NEAR(all.decode_tokens_per_second->p99, 99, 1.5);
  EXPECT_NEAR(all.ttft_ms->p95, 100, 1);
  EXPECT_NEAR(all.latency_ms->p50, 500, 5);
}

TEST_F(RunsTest, FailedAndCancelledRunsAreCountedButHaveNoTimes) {
  auto failed = run(now_);
  failed.error_occurred = true;
  failed.error_code = "unavailable";
  log(failed);
  failed.error_code = "cancelled";
  log(failed);
  auto const all = ask({}).groups.at(0);
  EXPECT_EQ(all.runs, 2);
  EXPECT_EQ(all.failed, 1);
  EXPECT_EQ(all.cancelled, 1);
  EXPECT_FALSE(all.ttft_ms);
}

TEST_F(RunsTest, GroupsAreByWhatWasAskedFor) {
  auto other = run(now_);
  other.model_version = "bbbb";
  other.endpoint = "/v1/chat/completions";
  log(run(now_));
  log(other);
  auto const group_names = [&](RunGrouping by) {
    std::vector<std::string> names;
    for (auto const& group : ask({{}, by, RunBucket::kNone}).groups) names.push_back(group.group);
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(group_names(RunGrouping::kModel), (Names{"smol"}));
  EXPECT_EQ(group_names(RunGrouping::kRevision), (Names{"aaaa", "bbbb"}));
  EXPECT_EQ(group_names(RunGrouping::kEndpoint), (Names{"/api/generate", "/v1/chat/completions"}));
  EXPECT_EQ(group_names(RunGrouping::kEngineVersion), (Names{"1"}));
  RunQuestion question;
  question.filter.revision = "bbbb";
  EXPECT_EQ(ask(question).groups.at(0).runs, 1);
  question.filter.revision = "cccc";
  EXPECT_TRUE(ask(question).groups.empty());
}

TEST_F(RunsTest, ATimeSeriesHasABucketForEachHourOrDayWithRuns) {
  log(run(today_ - 26h));
  log(run(today_ - 26h + 59min));
  log(run(today_ - 2h));
  RunQuestion question;
  question.bucket = RunBucket::kHour;
  auto const hours = ask(question).groups;
  ASSERT_EQ(hours.size(), 2U);
  EXPECT_EQ(hours[0].begins, today_ - 26h);
  EXPECT_EQ(hours[0].runs, 2);
  EXPECT_EQ(hours[1].begins, today_ - 2h);
  question.bucket = RunBucket::kDay;
  auto const by_day = ask(question).groups;
  ASSERT_EQ(by_day.size(), 2U);
  EXPECT_EQ(by_day[0].begins, today_ - 48h);
  EXPECT_EQ(by_day[1].begins, today_ - 24h);
}

TEST_F(RunsTest, AWindowTakesWholeDaysAndTheHoursAtItsEndsOnce) {
  for (int hour = 0; hour < 24 * 5; ++hour) log(run(today_ - days(5) + std::chrono::hours(hour)));
  auto const runs_in = [&](UtcTime since, UtcTime until) {
    RunQuestion question;
    question.filter.since = since;
    question.filter.until = until;
    auto const groups = ask(question).groups;
    return groups.empty() ? 0 : groups.front().runs;
  };
  EXPECT_EQ(runs_in(today_ - days(5), today_), 120);
  EXPECT_EQ(runs_in(today_ - days(5) + 3h, today_ - 2h), 115);
  EXPECT_EQ(runs_in(today_ - 30h, today_ - 20h), 10);
  EXPECT_EQ(runs_in(today_ - 20h, today_ - 10h), 10);
  EXPECT_EQ(runs_in(today_ - 20h, today_ - 20h), 0);
  // A part of an hour is the whole one.
  EXPECT_EQ(runs_in(today_ - 20h + 1min, today_ - 19h + 1min), 2);
  EXPECT_EQ(runs_in(today_ - 19h, today_ - 21h), 0);
}

TEST_F(RunsTest, RowsThatAnotherProgramWroteAreCountedAtTheNextStart) {
  registry_.reset();
  {
    SQLite::Database other(file().string(), SQLite::OPEN_READWRITE);
    for (int i = 0; i < 1200; ++i)
      other.exec(
          "INSERT INTO performancelog (timestamp, model_registry_id, tokens_per_second, "
          "total_inference_ms) VALUES ('2026-01-02 03:04:05', 1, 12.5, 80)");
    other.exec("INSERT INTO performancelog (timestamp) VALUES ('no time at all')");
  }
  open({days(0), 0});
  eventually("SELECT last_id FROM homelab_run_mark", 1201);
  auto const answer = ask({});
  EXPECT_TRUE(answer.complete);
  EXPECT_EQ(answer.groups.at(0).runs, 1200);
  EXPECT_NEAR(answer.groups.at(0).decode_tokens_per_second->p50, 12.5, 0.2);
}

TEST_F(RunsTest, IdsThatAreGivenAgainAreCountedAgain) {
  log(run(now_));
  registry_->flush();
  {
    SQLite::Database other(file().string(), SQLite::OPEN_READWRITE, 10'000);
    other.exec("DELETE FROM performancelog");
  }
  log(run(now_));
  EXPECT_EQ(ask({}).groups.at(0).runs, 2);
}

TEST_F(RunsTest, OldRowsGoButTheirFiguresStay) {
  for (int i = 0; i < 700; ++i) log(run(now_ - days(40)));
  for (int i = 0; i < 5; ++i) log(run(now_));
  registry_->flush();
  open({days(30), 0});
  eventually("SELECT COUNT(*) FROM performancelog", 5);
  EXPECT_EQ(ask({}).groups.at(0).runs, 705);
}

TEST_F(RunsTest, NothingIsTooOldUnlessSaid) {
  log(run(now_ - days(4000)));
  registry_->flush();
  open();
  for (int i = 0; i < 600; ++i) {  // upkeep comes at the start and after every 256 rows
    log(run(now_));
    if (i % 200 == 199) registry_->flush();
  }
  eventually("SELECT last_id FROM homelab_run_mark", 601);
  EXPECT_EQ(count("SELECT COUNT(*) FROM performancelog"), 601);
}

TEST_F(RunsTest, OnlyTheNewestRowsAreKept) {
  for (int i = 0; i < 650; ++i) log(run(now_, i + 1));
  registry_->flush();
  open({days(0), 10});
  eventually("SELECT COUNT(*) FROM performancelog", 10);
  EXPECT_EQ(count("SELECT MIN(id) FROM performancelog"), 641);
}

TEST_F(RunsTest, RowsThatComeWhileItRunsPushOutTheOldest) {
  open({days(0), 100});
  for (int i = 0; i < 1000; ++i) {
    log(run(now_));
    if (i % 200 == 0) registry_->flush();  // the queue is bounded
  }
  registry_->flush();
  // Upkeep comes after every 256 rows; what came after the last one stays.
  for (int i = 0; i < 3000 && count("SELECT COUNT(*) FROM performancelog") > 356; ++i)
    std::this_thread::sleep_for(10ms);
  EXPECT_LE(count("SELECT COUNT(*) FROM performancelog"), 356);
  EXPECT_EQ(count("SELECT MAX(id) FROM performancelog"), 1000);
}

TEST_F(RunsTest, TheNewestRowStaysHoweverOld) {
  open({days(0), 0});
  log(run(now_ - days(400)));
  registry_->flush();
  registry_.reset();
  SQLite::Database database(file().string(), SQLite::OPEN_READWRITE);
  EXPECT_EQ(delete_expired(database, {days(1), 1}, now_, 10), 0);
}

TEST_F(RunsTest, OneStepDeletesNoMoreThanItMay) {
  open({days(0), 0});
  for (int i = 0; i < 20; ++i) log(run(now_ - days(400)));
  registry_->flush();
  registry_.reset();
  SQLite::Database database(file().string(), SQLite::OPEN_READWRITE);
  EXPECT_EQ(delete_expired(database, {days(1), 1}, now_, 8), 8);
  EXPECT_EQ(delete_expired(database, {days(1), 0}, now_, 8), 8);
  EXPECT_EQ(delete_expired(database, {days(1), 0}, now_, 8), 3);
  EXPECT_EQ(delete_expired(database, {days(1), 0}, now_, 8), 0);
}

TEST_F(RunsTest, FiguresOfHoursGoBeforeThoseOfDays) {
  open({days(0), 0});
  log(run(now_ - days(200)));
  log(run(now_ - days(4000)));
  log(run(now_));
  registry_->flush();
  registry_.reset();
  SQLite::Database database(file().string(), SQLite::OPEN_READWRITE);
  drop_old_figures(database, now_);
  auto const left = [&](int span) {
    return database
        .execAndGet(
            fmt::format("SELECT COUNT(*) FROM homelab_run_figures WHERE span_seconds = {}", span))
        .getInt();
  };
  EXPECT_EQ(left(3600), 1);
  EXPECT_EQ(left(86400), 2);
}

TEST_F(RunsTest, PagesFollowEachOtherWithoutAGap) {
  for (int i = 0; i < 25; ++i) {
    auto row = run(now_ - std::chrono::minutes(i));
    if (i % 5 == 0) row.endpoint = std::nullopt;
    log(row);
  }
  registry_->flush();
  std::int64_t last = 0;
  int seen = 0;
  while (true) {
    auto const page = registry_->runs_after({}, last, 7);
    ASSERT_TRUE(page);
    if (page->empty()) break;
    for (auto const& row : *page) {
      EXPECT_EQ(row.id, last + 1);
      last = row.id;
      ++seen;
    }
  }
  EXPECT_EQ(seen, 25);
  RunFilter filter;
  filter.endpoint = "";
  EXPECT_EQ(registry_->runs_before(filter, 1'000'000, 100)->size(), 5U);
  filter.endpoint = "/api/generate";
  filter.since = now_ - 10min;
  EXPECT_EQ(registry_->runs_before(filter, 1'000'000, 100)->size(), 8U);
  EXPECT_EQ(registry_->runs_before({}, 10, 3)->front().id, 9);
}

TEST_F(RunsTest, ASwitchIsRememberedByTheFile) {
  EXPECT_EQ(*registry_->switch_state("performance_logging"), std::nullopt);
  ASSERT_TRUE(registry_->remember_switch("performance_logging", false));
  open();
  EXPECT_EQ(*registry_->switch_state("performance_logging"), false);
  ASSERT_TRUE(registry_->remember_switch("performance_logging", true));
  EXPECT_EQ(*registry_->switch_state("performance_logging"), true);
}

TEST_F(RunsTest, RecentRunsAreComparedWithTheModelsOwnPast) {
  for (int i = 0; i < 60; ++i) log(run(now_ - days(2), 100));
  for (int i = 0; i < 20; ++i) log(run(now_, 75));
  registry_->flush();
  auto const comparison = registry_->compare_runs("smol");
  ASSERT_TRUE(comparison) << comparison.error().message;
  EXPECT_EQ(comparison->recent_runs, 20);
  EXPECT_EQ(comparison->past_runs, 60);
  ASSERT_TRUE(comparison->decode_tokens_per_second);
  EXPECT_NEAR(comparison->decode_tokens_per_second->past, 100, 1);
  auto const slower = slowdowns(*comparison);
  ASSERT_EQ(slower.size(), 1U);  // reading the prompt is 25 % slower: below its limit
  EXPECT_EQ(slower[0].figure, "decode_tokens_per_second");
  EXPECT_NEAR(slower[0].change_percent, -25, 1);
}

TEST_F(RunsTest, AShortPastSaysNothing) {
  for (int i = 0; i < 49; ++i) log(run(now_ - days(2), 100));
  for (int i = 0; i < 20; ++i) log(run(now_, 10));
  registry_->flush();
  EXPECT_TRUE(slowdowns(*registry_->compare_runs("smol")).empty());
  EXPECT_EQ(registry_->compare_runs("nobody")->recent_runs, 0);
}

TEST(Slowdowns, AreWhatTheRuleSays) {
  RunComparison comparison;
  auto const figures = [&] {
    std::vector<std::string> names;
    for (auto const& slower : slowdowns(comparison)) names.push_back(slower.figure);
    return names;
  };
  comparison.decode_tokens_per_second = {81, 100};
  comparison.prefill_tokens_per_second = {71, 100};
  comparison.ttft_ms = {149, 100};
  EXPECT_TRUE(figures().empty());
  comparison.decode_tokens_per_second = {80, 100};
  comparison.prefill_tokens_per_second = {70, 100};
  comparison.ttft_ms = {150, 100};
  EXPECT_EQ(figures().size(), 3U);
  comparison.decode_tokens_per_second = {0, 0};
  comparison.prefill_tokens_per_second = {200, 100};
  comparison.ttft_ms = {50, 100};
  EXPECT_TRUE(figures().empty());
}

}  // namespace
}  // namespace homelab::registry
