#include "jobs/job_book.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

namespace homelab::jobs {
namespace {

/// A job's end, waited for by watching it.
Job wait_for(JobBook& book, std::string const& id) {
  std::mutex mutex;
  std::condition_variable changed;
  bool ended = false;
  auto const watching = book.watch(id, [&](Job const& job) {
    if (!is_ended(job.state)) return true;
    std::lock_guard const lock(mutex);
    ended = true;
    changed.notify_all();
    return false;
  });
  if (!watching) throw std::runtime_error(watching.error().message);
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return ended; });
  lock.unlock();
  return book.find(id).value();
}

JobWork gives(json::value value, bool complete = true) {
  return [=](JobControl&) -> Result<JobResult> { return JobResult{value, complete}; };
}

JobWork fails(Code code, std::string message) {
  return [=](JobControl&) -> Result<JobResult> { return fail(code, message); };
}

/// Work that has begun and goes on until the test lets it, or until it is cancelled.
class Held {
 public:
  JobWork work() {
    return [this](JobControl& control) -> Result<JobResult> {
      {
        std::lock_guard const lock(mutex_);
        begun_ = true;
      }
      changed_.notify_all();
      while (!released_) {
        if (control.is_cancelled()) return fail(Code::kCancelled, "stopped");
        std::this_thread::yield();
      }
      return JobResult{"held", true};
    };
  }
  void wait_until_begun() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_; });
  }
  void release() { released_ = true; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool begun_ = false;
  std::atomic<bool> released_ = false;
};

std::string add(JobBook& book, JobWork work, std::string kind = "test") {
  auto const job = book.add(std::move(kind), {{"a", 1}}, std::move(work));
  if (!job) throw std::runtime_error(job.error().message);
  return job->id;
}

TEST(JobBook, AJobThatDidItsWorkHasSucceededAndKeepsItsResult) {
  JobBook book;
  auto const id = add(book, gives(json::object{{"freed", 7}}), "cache gc");
  auto const job = wait_for(book, id);
  EXPECT_EQ(job.state, JobState::kSucceeded);
  EXPECT_EQ(job.kind, "cache gc");
  EXPECT_EQ(job.request, (json::object{{"a", 1}}));
  ASSERT_TRUE(job.result);
  EXPECT_EQ(job.result->value, (json::object{{"freed", 7}}));
  EXPECT_TRUE(job.result->complete);
  EXPECT_FALSE(job.error);
  ASSERT_TRUE(job.started && job.ended);
  EXPECT_LE(job.created, *job.started);
  EXPECT_LE(*job.started, *job.ended);
}

TEST(JobBook, AnErrorAndAThrownExceptionMakeItFail) {
  JobBook book;
  auto const failed = wait_for(book, add(book, fails(Code::kNotFound, "no such thing")));
  EXPECT_EQ(failed.state, JobState::kFailed);
  EXPECT_EQ(failed.error, (Error{Code::kNotFound, "no such thing"}));
  auto const thrown = wait_for(
      book, add(book, [](JobControl&) -> Result<JobResult> { throw std::runtime_error("oh"); }));
  EXPECT_EQ(thrown.state, JobState::kFailed);
  EXPECT_EQ(thrown.error->code, Code::kInternal);
  EXPECT_NE(thrown.error->message.find("oh"), std::string::npos);
}

TEST(JobBook, JobsRunOneAfterTheOtherInTheOrderInWhichTheyCame) {
  JobBook book;
  std::atomic<int> running = 0;
  std::atomic<bool> together = false;
  std::string order;
  std::string last;
  for (char const name : std::string("abcdef")) {
    last = add(book, [&, name](JobControl&) -> Result<JobResult> {
      if (++running > 1) together = true;
      order += name;
      --running;
      return JobResult{nullptr, true};
    });
  }
  (void)wait_for(book, last);
  EXPECT_EQ(order, "abcdef");
  EXPECT_FALSE(together);
}

TEST(JobBook, AWaitingJobThatIsCancelledNeverRuns) {
  Held held;
  JobBook book;
  auto const first = add(book, held.work());
  held.wait_until_begun();
  std::atomic<bool> ran = false;
  auto const second = add(book, [&](JobControl&) -> Result<JobResult> {
    ran = true;
    return JobResult{};
  });
  EXPECT_EQ(book.find(second)->state, JobState::kQueued);
  auto const cancelled = book.cancel(second);
  ASSERT_TRUE(cancelled);
  EXPECT_EQ(cancelled->state, JobState::kCancelled);
  EXPECT_EQ(cancelled->error->code, Code::kCancelled);
  EXPECT_FALSE(cancelled->started);
  held.release();
  EXPECT_EQ(wait_for(book, first).state, JobState::kSucceeded);
  (void)wait_for(book, add(book, gives(1)));
  EXPECT_FALSE(ran);
}

TEST(JobBook, ARunningJobIsToldToStopAndIsCancelledWhenItEnds) {
  Held held;
  JobBook book;
  auto const id = add(book, held.work());
  held.wait_until_begun();
  ASSERT_TRUE(book.cancel(id));
  auto const job = wait_for(book, id);
  EXPECT_EQ(job.state, JobState::kCancelled);
  EXPECT_EQ(job.error->message, "stopped");
  EXPECT_EQ(book.cancel(id)->state, JobState::kCancelled) << "cancelling twice changes nothing";
}

TEST(JobBook, ACancelledJobKeepsTheResultOfWhatItDid) {
  JobBook book;
  std::latch begun(1);
  auto const id = add(book, [&](JobControl& control) -> Result<JobResult> {
    begun.count_down();
    while (!control.is_cancelled()) std::this_thread::yield();
    return JobResult{"half", false};
  });
  begun.wait();
  ASSERT_TRUE(book.cancel(id));
  auto const job = wait_for(book, id);
  EXPECT_EQ(job.state, JobState::kCancelled);
  ASSERT_TRUE(job.result);
  EXPECT_EQ(job.result->value, "half");
}

TEST(JobBook, AResultThatIsNotCompleteIsStillASuccessWhenNobodyCancelled) {
  JobBook book;
  auto const job = wait_for(book, add(book, gives("bad files", false)));
  EXPECT_EQ(job.state, JobState::kSucceeded);
  EXPECT_FALSE(job.result->complete);
}

TEST(JobBook, RetryIsANewJobWithTheSameRequest) {
  JobBook book;
  std::atomic<int> tries = 0;
  auto const id = add(book, [&](JobControl&) -> Result<JobResult> {
    if (++tries == 1) return fail(Code::kUnavailable, "not yet");
    return JobResult{tries.load(), true};
  });
  EXPECT_EQ(wait_for(book, id).state, JobState::kFailed);
  auto const again = book.retry(id);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_NE(again->id, id);
  EXPECT_EQ(again->retry_of, id);
  EXPECT_EQ(again->request, (json::object{{"a", 1}}));
  EXPECT_EQ(wait_for(book, again->id).result->value, 2);
  EXPECT_EQ(book.find(id)->state, JobState::kFailed) << "the first try stays as it was";
}

TEST(JobBook, AJobThatHasNotEndedCannotBeRetried) {
  Held held;
  JobBook book;
  auto const id = add(book, held.work());
  EXPECT_EQ(book.retry(id).error().code, Code::kFailedPrecondition);
  held.release();
}

TEST(JobBook, UnknownIdsAreNotFound) {
  JobBook book;
  EXPECT_EQ(book.find("x").error().code, Code::kNotFound);
  EXPECT_EQ(book.cancel("x").error().code, Code::kNotFound);
  EXPECT_EQ(book.retry("x").error().code, Code::kNotFound);
  EXPECT_EQ(book.watch("x", [](Job const&) { return true; }).error().code, Code::kNotFound);
}

TEST(JobBook, AFullQueueRefusesMoreUntilSomethingIsDone) {
  Held held;
  JobBook book({.queued = 2});
  auto const first = add(book, held.work());
  held.wait_until_begun();
  (void)add(book, gives(1));
  auto const last = add(book, gives(2));
  EXPECT_EQ(book.add("test", {}, gives(3)).error().code, Code::kUnavailable);
  held.release();
  (void)wait_for(book, last);
  EXPECT_TRUE(book.add("test", {}, gives(3)));
  (void)first;
}

TEST(JobBook, OnlySoManyEndedJobsAreKeptTheOldestGoFirst) {
  JobBook book({.kept = 3});
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(add(book, gives(i)));
    (void)wait_for(book, ids.back());
  }
  (void)wait_for(book, add(book, gives("last")));
  EXPECT_EQ(book.list().size(), 3U);
  EXPECT_FALSE(book.find(ids[2]));
  EXPECT_TRUE(book.find(ids[3]));
  EXPECT_TRUE(book.find(ids[4]));
}

TEST(JobBook, LargeResultsMakeOlderJobsGoButNeverTheNewest) {
  JobBook book({.result_bytes = 1000});
  auto const small = add(book, gives("x"));
  (void)wait_for(book, small);
  auto const large = add(book, gives(json::value(std::string(5000, 'x'))));
  (void)wait_for(book, large);
  // The book forgets after it told the end; the next job shows what is left.
  EXPECT_TRUE(book.find(large));
  auto const next = add(book, gives("y"));
  (void)wait_for(book, next);
  (void)wait_for(book, add(book, gives("z")));
  EXPECT_FALSE(book.find(small));
  EXPECT_FALSE(book.find(large));
  EXPECT_TRUE(book.find(next));
}

TEST(JobBook, AListHasTheNewestFirstAndNoResults) {
  JobBook book;
  auto const first = add(book, gives("one"));
  auto const second = add(book, gives("two", false));
  (void)wait_for(book, second);
  auto const list = book.list();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].id, second);
  EXPECT_EQ(list[1].id, first);
  ASSERT_TRUE(list[0].result);
  EXPECT_TRUE(list[0].result->value.is_null());
  EXPECT_FALSE(list[0].result->complete);
}

TEST(JobBook, AWatcherSeesEveryStateInOrderAndTheLastProgress) {
  Held before;
  JobBook book({.watch_every = std::chrono::milliseconds(0)});
  (void)add(book, before.work());
  before.wait_until_begun();
  auto const id = add(book, [](JobControl& control) -> Result<JobResult> {
    control.show({"Checking", 1, 10, 0, 2});
    control.show({"Checking", 10, 10, 2, 2});
    control.remark("said");
    return JobResult{"done", true};
  });
  std::vector<std::string> seen;
  ASSERT_TRUE(book.watch(id, [&](Job const& job) {
    seen.push_back(std::string(to_string(job.state)) + " " +
                   std::to_string(job.progress.done_bytes));
    return true;
  }));
  before.release();
  auto const job = wait_for(book, id);
  EXPECT_EQ(seen, (std::vector<std::string>{"queued 0", "running 0", "running 1", "running 10",
                                            "succeeded 10"}));
  EXPECT_EQ(job.remarks, std::vector<std::string>{"said"});
}

TEST(JobBook, AWatcherThatHadEnoughIsNotCalledAgain) {
  Held before;
  JobBook book({.watch_every = std::chrono::milliseconds(0)});
  (void)add(book, before.work());
  before.wait_until_begun();
  auto const id = add(book, gives(1));
  int calls = 0;
  ASSERT_TRUE(book.watch(id, [&](Job const&) {
    ++calls;
    return false;
  }));
  before.release();
  (void)wait_for(book, id);
  EXPECT_EQ(calls, 1);
}

TEST(JobBook, ProgressIsToldToWatchersOnlyNowAndThenButKeptAlways) {
  Held before;
  JobBook book({.watch_every = std::chrono::hours(1)});
  (void)add(book, before.work());
  before.wait_until_begun();
  auto const id = add(book, [](JobControl& control) -> Result<JobResult> {
    for (std::uint64_t i = 1; i <= 1000; ++i) control.show({"x", i, 1000, 0, 0});
    return JobResult{};
  });
  int calls = 0;
  ASSERT_TRUE(book.watch(id, [&](Job const&) {
    ++calls;
    return true;
  }));
  before.release();
  EXPECT_EQ(wait_for(book, id).progress.done_bytes, 1000U);
  EXPECT_LE(calls, 4) << "queued, running, one progress, the end";
}

TEST(JobBook, ShutdownCancelsWhatRunsAndWhatWaitsAndRefusesMore) {
  Held held;
  JobBook book;
  auto const running = add(book, held.work());
  auto const waiting = add(book, gives(1));
  held.wait_until_begun();
  book.shutdown();
  EXPECT_EQ(book.find(running)->state, JobState::kCancelled);
  EXPECT_EQ(book.find(waiting)->state, JobState::kCancelled);
  EXPECT_EQ(book.add("test", {}, gives(1)).error().code, Code::kUnavailable);
  book.shutdown();
}

TEST(JobBook, CloseTellsEverybodyToStopAndDoesNotWait) {
  JobBook book;
  std::latch begun(1);
  std::latch may_end(1);
  auto const id = add(book, [&](JobControl& control) -> Result<JobResult> {
    begun.count_down();
    may_end.wait();
    EXPECT_TRUE(control.is_cancelled());
    return fail(Code::kCancelled, "stopped");
  });
  begun.wait();
  book.close();
  EXPECT_EQ(book.find(id)->state, JobState::kRunning);
  may_end.count_down();
  EXPECT_EQ(wait_for(book, id).state, JobState::kCancelled);
}

TEST(JobBook, ManyThreadsAddCancelWatchAndListAtOnceAndEveryJobEndsOnce) {
  constexpr int kThreads = 6;
  constexpr int kEach = 60;
  JobBook book({.kept = 10000, .queued = 10000, .watch_every = std::chrono::milliseconds(0)});
  std::atomic<int> ends = 0;
  std::mutex mutex;
  std::set<std::string> ids;
  std::latch start(kThreads);
  auto const one_thread = [&](int number) {
    start.arrive_and_wait();
    for (int i = 0; i < kEach; ++i) {
      auto const id = add(book, [](JobControl& control) -> Result<JobResult> {
        control.show({"x", 1, 2, 0, 0});
        if (control.is_cancelled()) return fail(Code::kCancelled, "stopped");
        return JobResult{1, true};
      });
      ASSERT_TRUE(book.watch(id, [&](Job const& job) {
        if (is_ended(job.state)) ++ends;
        return true;
      }));
      if ((i + number) % 3 == 0) {
        ASSERT_TRUE(book.cancel(id));
      }
      if ((i + number) % 7 == 0) (void)book.list();
      std::lock_guard const lock(mutex);
      ids.insert(id);
    }
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(one_thread, i);
  threads.clear();
  (void)wait_for(book, add(book, gives("last")));
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(kThreads * kEach));
  for (auto const& id : ids) EXPECT_TRUE(is_ended(book.find(id)->state)) << id;
  EXPECT_EQ(ends, kThreads * kEach);
}

TEST(JobBook, ShutdownWhileOthersAddLeavesNoJobUnended) {
  for (int round = 0; round < 20; ++round) {
    JobBook book;
    std::latch start(3);
    std::vector<std::string> added;
    std::jthread adding([&] {
      start.arrive_and_wait();
      for (int i = 0; i < 50; ++i) {
        auto const job = book.add("test", {}, gives(i));
        if (job) added.push_back(job->id);
      }
    });
    std::jthread stopping([&] {
      start.arrive_and_wait();
      book.shutdown();
    });
    start.arrive_and_wait();
    adding.join();
    stopping.join();
    for (auto const& id : added) {
      auto const job = book.find(id);
      ASSERT_TRUE(job);
      EXPECT_TRUE(is_ended(job->state));
    }
  }
}

}  // namespace
}  // namespace homelab::jobs
