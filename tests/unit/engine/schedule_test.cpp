#include "schedule.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <optional>
#include <set>

namespace homelab::engine {
namespace {

using LoadResult = Schedule::LoadResult;

/// Loads `model` for ticket 1 and reports success.
void make_loaded(Schedule& schedule, std::string const& model) {
  ASSERT_EQ(schedule.load_requested(1, model, false), (Effects{StartLoad{model, false}}));
  schedule.load_began();
  ASSERT_EQ(schedule.load_ended(LoadResult::kLoaded), (Effects{Answer{1, Reply::kLoadOutcome}}));
}

TEST(Schedule, StartsALoadWhenNothingIsLoaded) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false), (Effects{StartLoad{"a", false}}));
  EXPECT_TRUE(schedule.in_use("a"));
  EXPECT_FALSE(schedule.idle());
}

TEST(Schedule, ASecondRequestForTheLoadingModelJoinsIt) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  EXPECT_EQ(schedule.load_requested(2, "a", false), Effects{});
  schedule.load_began();
  EXPECT_EQ(schedule.load_ended(LoadResult::kLoaded),
            (Effects{Answer{1, Reply::kLoadOutcome}, Answer{2, Reply::kLoadOutcome}}));
}

TEST(Schedule, AForcedRequestDoesNotJoinAnUnforcedLoadThatMayBeRefused) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  EXPECT_EQ(schedule.load_requested(2, "a", true), Effects{});
  EXPECT_EQ(schedule.load_ended(LoadResult::kRefused),
            (Effects{Answer{1, Reply::kLoadOutcome}, StartLoad{"a", true}}));
}

TEST(Schedule, TheLoadedModelIsAnsweredAtOnce) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.load_requested(2, "a", false), (Effects{Answer{2, Reply::kAlreadyLoaded}}));
}

TEST(Schedule, LoadsOfDifferentModelsAreServedOneAfterAnother) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  EXPECT_EQ(schedule.load_requested(2, "b", false), Effects{});
  schedule.load_began();
  EXPECT_EQ(schedule.load_ended(LoadResult::kLoaded),
            (Effects{Answer{1, Reply::kLoadOutcome}, StartLoad{"b", false}}));
}

TEST(Schedule, ARefusedLoadLeavesThePreviousModelLoaded) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.load_requested(2, "b", false), (Effects{StartLoad{"b", false}}));
  EXPECT_EQ(schedule.load_ended(LoadResult::kRefused), (Effects{Answer{2, Reply::kLoadOutcome}}));
  EXPECT_TRUE(schedule.in_use("a"));
  EXPECT_FALSE(schedule.in_use("b"));
}

TEST(Schedule, AFailedLoadLeavesNothingLoaded) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.load_requested(2, "b", false).size(), 1U);
  schedule.load_began();
  EXPECT_FALSE(schedule.in_use("a"));
  EXPECT_EQ(schedule.load_ended(LoadResult::kFailed), (Effects{Answer{2, Reply::kLoadOutcome}}));
  EXPECT_TRUE(schedule.idle());
}

TEST(Schedule, UnloadStopsTheEngineAndAnswersWhenItIsGone) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.unload_requested(2), Effects{StopEngine{}});
  EXPECT_EQ(schedule.unload_requested(3), Effects{});
  EXPECT_EQ(schedule.load_requested(4, "a", false), Effects{});
  EXPECT_EQ(
      schedule.engine_stopped(),
      (Effects{Answer{2, Reply::kUnloaded}, Answer{3, Reply::kUnloaded}, StartLoad{"a", false}}));
}

TEST(Schedule, UnloadWithoutAModelIsAnsweredAtOnce) {
  Schedule schedule;
  EXPECT_EQ(schedule.unload_requested(1), (Effects{Answer{1, Reply::kNothingLoaded}}));
}

TEST(Schedule, UnloadDuringALoadCancelsThatLoad) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  schedule.load_began();
  EXPECT_EQ(schedule.unload_requested(2), Effects{CancelLoad{}});
  EXPECT_EQ(schedule.unload_requested(3), Effects{});
  EXPECT_EQ(schedule.load_ended(LoadResult::kFailed),
            (Effects{Answer{1, Reply::kLoadOutcome}, Answer{2, Reply::kUnloaded},
                     Answer{3, Reply::kUnloaded}}));
}

TEST(Schedule, ALoadThatFinishedInSpiteOfItsCancelIsStopped) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  schedule.load_began();
  EXPECT_EQ(schedule.unload_requested(2), Effects{CancelLoad{}});
  EXPECT_EQ(schedule.load_ended(LoadResult::kLoaded),
            (Effects{Answer{1, Reply::kLoadOutcome}, StopEngine{}}));
  EXPECT_EQ(schedule.engine_stopped(), (Effects{Answer{2, Reply::kUnloaded}}));
}

TEST(Schedule, ARequestAfterTheCancelIsALoadOfItsOwn) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  schedule.load_began();
  EXPECT_EQ(schedule.unload_requested(2), Effects{CancelLoad{}});
  EXPECT_EQ(schedule.load_requested(3, "a", false), Effects{});
  EXPECT_EQ(schedule.load_ended(LoadResult::kFailed),
            (Effects{Answer{1, Reply::kLoadOutcome}, Answer{2, Reply::kUnloaded},
                     StartLoad{"a", false}}));
}

TEST(Schedule, ADeadEngineLeavesThePlaceFree) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.engine_died(), Effects{});
  EXPECT_TRUE(schedule.idle());
  EXPECT_EQ(schedule.load_requested(2, "a", false), (Effects{StartLoad{"a", false}}));
}

TEST(Schedule, RefusesMoreThanItsBound) {
  Schedule schedule(2);
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  EXPECT_EQ(schedule.load_requested(2, "b", false), Effects{});
  EXPECT_EQ(schedule.load_requested(3, "c", false), (Effects{Answer{3, Reply::kTooMany}}));
}

TEST(Schedule, ShutdownAnswersTheQueueAndCancelsTheLoad) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  EXPECT_EQ(schedule.load_requested(2, "b", false), Effects{});
  schedule.load_began();
  EXPECT_EQ(schedule.shutdown_requested(),
            (Effects{Answer{2, Reply::kShuttingDown}, CancelLoad{}}));
  EXPECT_EQ(schedule.load_requested(3, "a", false), (Effects{Answer{3, Reply::kShuttingDown}}));
  EXPECT_EQ(schedule.load_ended(LoadResult::kFailed), (Effects{Answer{1, Reply::kLoadOutcome}}));
  EXPECT_TRUE(schedule.idle());
}

TEST(Schedule, ShutdownKeepsTheLoadedModelUntilItIsTold) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.shutdown_requested(), Effects{});
  EXPECT_EQ(schedule.stop_requested(), Effects{StopEngine{}});
  EXPECT_EQ(schedule.engine_stopped(), Effects{});
  EXPECT_TRUE(schedule.idle());
}

/// Plays the world for a schedule: at most one load or stop runs, tickets are counted.
class Player {
 public:
  void step(int action, int choice) {
    std::string const model(1, static_cast<char>('a' + choice % 3));
    if (action == 0) take(schedule_.load_requested(ask(), model, choice % 2 == 0));
    if (action == 1) take(schedule_.unload_requested(ask()));
    if (action == 2) end_what_runs(choice);
    if (action == 3 && !running_ && !schedule_.idle()) take(schedule_.engine_died());
  }
  void finish() {
    take(schedule_.shutdown_requested());
    take(schedule_.stop_requested());
    for (int i = 0; running_ && i < 10; ++i) end_what_runs(i);
  }
  [[nodiscard]] bool everything_answered_once() const {
    for (auto const& [ticket, answers] : answers_) {
      if (answers != 1) return false;
    }
    return true;
  }
  [[nodiscard]] bool idle() const { return schedule_.idle() && !running_; }
  [[nodiscard]] bool overlapped() const { return overlapped_; }

 private:
  enum class Work { kLoad, kStop };
  Ticket ask() {
    answers_[++last_ticket_] = 0;
    return last_ticket_;
  }
  void take(Effects const& effects) {
    for (auto const& effect : effects) {
      if (auto const* answer = std::get_if<Answer>(&effect)) ++answers_[answer->ticket];
      bool const load = std::holds_alternative<StartLoad>(effect);
      if (load || std::holds_alternative<StopEngine>(effect)) {
        overlapped_ = overlapped_ || running_.has_value();
        running_ = load ? Work::kLoad : Work::kStop;
      }
    }
  }
  void end_what_runs(int choice) {
    if (!running_) return;
    Work const work = *running_;
    running_.reset();
    if (work == Work::kStop) {
      take(schedule_.engine_stopped());
      return;
    }
    if (choice % 3 != 0) schedule_.load_began();
    take(schedule_.load_ended(choice % 3 == 0   ? LoadResult::kRefused
                              : choice % 3 == 1 ? LoadResult::kLoaded
                                                : LoadResult::kFailed));
  }

  Schedule schedule_;
  std::optional<Work> running_;
  bool overlapped_ = false;
  Ticket last_ticket_ = 0;
  std::map<Ticket, int> answers_;
};

RC_GTEST_PROP(Schedule, AnswersEveryRequestExactlyOnceAndNeverDoesTwoThingsAtATime, ()) {
  Player player;
  auto const steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 4), rc::gen::inRange(0, 12)));
  for (auto const& [action, choice] : steps) player.step(action, choice);
  player.finish();
  RC_ASSERT(player.everything_answered_once());
  RC_ASSERT(!player.overlapped());
  RC_ASSERT(player.idle());
}

}  // namespace
}  // namespace homelab::engine
