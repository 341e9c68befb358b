#include "job_list.h"

#include <gtest/gtest.h>

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;

TEST(JobList, ShowsTheNewestFirstAndForgetsTheOldest) {
  JobList jobs;
  for (std::size_t i = 0; i < JobList::kKept + 5; ++i)
    EXPECT_EQ(jobs.begin("load", "m", "starting"), static_cast<std::int64_t>(i + 1));
  auto const views = jobs.views();
  ASSERT_EQ(views.size(), JobList::kKept);
  EXPECT_EQ(views.front().id, static_cast<std::int64_t>(JobList::kKept + 5));
}

TEST(JobList, CountsWhatWasPresentAsDone) {
  JobList jobs;
  auto const id = jobs.begin("load", "m", "starting");
  hub::Progress progress;
  progress.total_bytes = 100;
  progress.present_bytes = 30;
  progress.downloaded_bytes = 20;
  jobs.set_progress(id, progress, {});
  auto const view = jobs.views().front();
  EXPECT_EQ(view.total_bytes, 100U);
  EXPECT_EQ(view.done_bytes, 50U);
  EXPECT_EQ(view.downloaded_bytes, 20U);
}

TEST(JobList, MeasuresTheSpeedOfWhatCameOverTheNetwork) {
  JobList jobs;
  auto const id = jobs.begin("load", "m", "starting");
  JobList::Clock::time_point const start{};
  hub::Progress progress;
  progress.present_bytes = 5000;
  jobs.set_progress(id, progress, start);
  progress.downloaded_bytes = 1000;
  jobs.set_progress(id, progress, start + milliseconds(100));
  EXPECT_EQ(jobs.views().front().bytes_per_second, 0) << "too soon to say";
  progress.downloaded_bytes = 2000;
  jobs.set_progress(id, progress, start + milliseconds(1000));
  EXPECT_DOUBLE_EQ(jobs.views().front().bytes_per_second, 2000);
}

TEST(JobList, TellsFailedFromCancelled) {
  JobList jobs;
  auto const a = jobs.begin("load", "a", "starting");
  auto const b = jobs.begin("load", "b", "starting");
  auto const c = jobs.begin("load", "c", "starting");
  jobs.end(a, {});
  jobs.end(b, fail(Code::kCancelled, "stopped"));
  jobs.end(c, fail(Code::kUnavailable, "no network"));
  auto const views = jobs.views();
  EXPECT_EQ(views[2].state, "done");
  EXPECT_EQ(views[1].state, "cancelled");
  EXPECT_EQ(views[0].state, "failed");
  EXPECT_EQ(views[0].error, "no network");
}

}  // namespace
}  // namespace homelab::engine
