#include "schedule.h"

#include <gtest/gtest.h>

namespace homelab::engine {
namespace {

using LoadResult = Schedule::LoadResult;
using std::chrono::milliseconds;
using std::chrono::seconds;

Time const kStart{};

Answer outcome(Ticket ticket, std::string model) {
  return {ticket, Reply::kLoadOutcome, std::move(model)};
}

/// Loads `model` in the place of the one before, for ticket 1.
void make_loaded(Schedule& schedule, std::string const& model) {
  ASSERT_EQ(schedule.load_requested(1, model, false), (Effects{StartLoad{model, false}}));
  schedule.load_began();
  ASSERT_EQ(schedule.load_ended(LoadResult::kLoaded, kStart), (Effects{outcome(1, model)}));
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
  EXPECT_EQ(schedule.load_ended(LoadResult::kLoaded, kStart),
            (Effects{outcome(1, "a"), outcome(2, "a")}));
  EXPECT_EQ(schedule.current(), "a");
}

TEST(Schedule, AForcedRequestDoesNotJoinAnUnforcedLoadThatMayBeRefused) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  EXPECT_EQ(schedule.load_requested(2, "a", true), Effects{});
  EXPECT_EQ(schedule.load_ended(LoadResult::kRefused, kStart),
            (Effects{outcome(1, "a"), StartLoad{"a", true}}));
}

TEST(Schedule, TheLoadedModelIsAnsweredAtOnce) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.load_requested(2, "a", false),
            (Effects{Answer{2, Reply::kAlreadyLoaded, "a"}}));
}

TEST(Schedule, LoadsOfDifferentModelsAreServedOneAfterAnother) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  EXPECT_EQ(schedule.load_requested(2, "b", false), Effects{});
  schedule.load_began();
  EXPECT_EQ(schedule.load_ended(LoadResult::kLoaded, kStart),
            (Effects{outcome(1, "a"), StartLoad{"b", false}}));
}

TEST(Schedule, ARefusedLoadLeavesThePreviousModelLoaded) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.load_requested(2, "b", false), (Effects{StartLoad{"b", false}}));
  EXPECT_EQ(schedule.load_ended(LoadResult::kRefused, kStart), (Effects{outcome(2, "b")}));
  EXPECT_EQ(schedule.current(), "a");
  EXPECT_FALSE(schedule.in_use("b"));
}

TEST(Schedule, AFailedLoadLeavesNothingLoaded) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.load_requested(2, "b", false).size(), 1U);
  schedule.load_began();
  EXPECT_FALSE(schedule.in_use("a"));
  EXPECT_EQ(schedule.load_ended(LoadResult::kFailed, kStart), (Effects{outcome(2, "b")}));
  EXPECT_TRUE(schedule.idle());
}

TEST(Schedule, UnloadStopsTheEngineAndAnswersWhenItIsGone) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.unload_requested(2), Effects{StopEngine{"a"}});
  EXPECT_EQ(schedule.unload_requested(3, "a"), Effects{});
  EXPECT_EQ(schedule.load_requested(4, "a", false), Effects{});
  EXPECT_EQ(schedule.engine_stopped("a"),
            (Effects{Answer{2, Reply::kUnloaded, "a"}, Answer{3, Reply::kUnloaded, "a"},
                     StartLoad{"a", false}}));
}

TEST(Schedule, UnloadWithoutAModelIsAnsweredAtOnce) {
  Schedule schedule;
  EXPECT_EQ(schedule.unload_requested(1), (Effects{Answer{1, Reply::kNothingLoaded, ""}}));
  EXPECT_EQ(schedule.unload_requested(2, "x"), (Effects{Answer{2, Reply::kNothingLoaded, "x"}}));
}

TEST(Schedule, UnloadDuringALoadCancelsThatLoad) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  schedule.load_began();
  EXPECT_EQ(schedule.unload_requested(2), Effects{CancelLoad{}});
  EXPECT_EQ(schedule.unload_requested(3), Effects{});
  EXPECT_EQ(schedule.load_ended(LoadResult::kCancelled, kStart),
            (Effects{outcome(1, "a"), Answer{2, Reply::kUnloaded, "a"},
                     Answer{3, Reply::kUnloaded, "a"}}));
}

TEST(Schedule, ALoadThatFinishedInSpiteOfItsCancelIsStopped) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  schedule.load_began();
  EXPECT_EQ(schedule.unload_requested(2), Effects{CancelLoad{}});
  EXPECT_EQ(schedule.load_ended(LoadResult::kLoaded, kStart),
            (Effects{outcome(1, "a"), StopEngine{"a"}}));
  EXPECT_EQ(schedule.engine_stopped("a"), (Effects{Answer{2, Reply::kUnloaded, "a"}}));
}

TEST(Schedule, ARequestAfterTheCancelIsALoadOfItsOwn) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  schedule.load_began();
  EXPECT_EQ(schedule.unload_requested(2), Effects{CancelLoad{}});
  EXPECT_EQ(schedule.load_requested(3, "a", false), Effects{});
  EXPECT_EQ(schedule.load_ended(LoadResult::kCancelled, kStart),
            (Effects{outcome(1, "a"), Answer{2, Reply::kUnloaded, "a"}, StartLoad{"a", false}}));
}

TEST(Schedule, ADeadEngineLeavesThePlaceFree) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.engine_died("a", kStart), Effects{});
  EXPECT_TRUE(schedule.idle());
  EXPECT_EQ(schedule.load_requested(2, "a", false), (Effects{StartLoad{"a", false}}));
}

TEST(Schedule, RefusesMoreThanItsBound) {
  Schedule schedule({.max_waiting = 2});
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  EXPECT_EQ(schedule.load_requested(2, "b", false), Effects{});
  EXPECT_EQ(schedule.load_requested(3, "c", false), (Effects{Answer{3, Reply::kTooMany, "c"}}));
  EXPECT_EQ(schedule.use_requested(4, "c", kStart), (Effects{Answer{4, Reply::kTooMany, "c"}}));
}

TEST(Schedule, ShutdownAnswersTheQueueAndCancelsTheLoad) {
  Schedule schedule;
  EXPECT_EQ(schedule.load_requested(1, "a", false).size(), 1U);
  EXPECT_EQ(schedule.load_requested(2, "b", false), Effects{});
  schedule.load_began();
  EXPECT_EQ(schedule.shutdown_requested(),
            (Effects{Answer{2, Reply::kShuttingDown, "b"}, CancelLoad{}}));
  EXPECT_EQ(schedule.load_requested(3, "a", false),
            (Effects{Answer{3, Reply::kShuttingDown, "a"}}));
  EXPECT_EQ(schedule.load_ended(LoadResult::kCancelled, kStart), (Effects{outcome(1, "a")}));
  EXPECT_TRUE(schedule.idle());
}

TEST(Schedule, ShutdownKeepsTheLoadedModelUntilItIsTold) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.shutdown_requested(), Effects{});
  EXPECT_EQ(schedule.stop_requested(), Effects{StopEngine{"a"}});
  EXPECT_EQ(schedule.engine_stopped("a"), Effects{});
  EXPECT_TRUE(schedule.idle());
}

// ---- Several models ----

class SeveralModels : public testing::Test {
 protected:
  /// Loads `model` beside the others, for a use that ends at once, at `when`.
  void load_beside(std::string const& model, Time when = kStart) {
    Ticket const ticket = ++last_;
    ASSERT_EQ(schedule_.use_requested(ticket, model, when),
              (Effects{StartLoad{model, false, Place::kBeside}}));
    schedule_.load_began();
    ASSERT_EQ(room(10, 10, when), (Effects{GrantRoom{{}}}));
    ASSERT_EQ(schedule_.load_ended(LoadResult::kLoaded, when),
              (Effects{Answer{ticket, Reply::kUse, model}}));
    ASSERT_EQ(schedule_.use_ended(ticket, true, when), Effects{});
  }
  /// Begins a load beside the others.
  void begin_beside(Ticket ticket, std::string const& model, Time when) {
    ASSERT_EQ(schedule_.use_requested(ticket, model, when),
              (Effects{StartLoad{model, false, Place::kBeside}}));
    schedule_.load_began();
  }
  /// Every loaded model has 10 bytes.
  Effects room(std::uint64_t needed, std::uint64_t free, Time when) {
    EXPECT_EQ(schedule_.room_wanted(needed, when), Effects{MeasureRoom{}});
    return measured(free, when);
  }
  Effects measured(std::uint64_t free, Time when) {
    return schedule_.room_measured(free, {{"a", 10}, {"b", 10}, {"c", 10}}, when);
  }

  Schedule schedule_{
      {.max_models = 3, .pinned = {"pinned"}, .max_wait = seconds(20), .linger = seconds(2)}};
  Ticket last_ = 100;
};

TEST_F(SeveralModels, AModelIsLoadedForTheRequestThatNamesIt) {
  load_beside("a");
  EXPECT_EQ(schedule_.current(), "a");
  load_beside("b");
  EXPECT_EQ(schedule_.current(), "a") << "a load on demand does not take the original's place";
  EXPECT_TRUE(schedule_.in_use("b"));
}

TEST_F(SeveralModels, RequestsForTheSameModelShareItsLoad) {
  EXPECT_EQ(schedule_.use_requested(1, "a", kStart).size(), 1U);
  EXPECT_EQ(schedule_.use_requested(2, "a", kStart), Effects{});
  EXPECT_EQ(schedule_.load_requested(3, "a", false, Place::kBeside), Effects{});
  schedule_.load_began();
  EXPECT_EQ(schedule_.load_ended(LoadResult::kLoaded, kStart),
            (Effects{outcome(3, "a"), Answer{1, Reply::kUse, "a"}, Answer{2, Reply::kUse, "a"}}));
}

TEST_F(SeveralModels, AFailedLoadIsTheAnswerOfEveryRequestThatWaited) {
  EXPECT_EQ(schedule_.use_requested(1, "a", kStart).size(), 1U);
  EXPECT_EQ(schedule_.use_requested(2, "a", kStart), Effects{});
  EXPECT_EQ(schedule_.load_ended(LoadResult::kFailed, kStart),
            (Effects{outcome(1, "a"), outcome(2, "a")}));
}

TEST_F(SeveralModels, WithoutANameItIsTheLoadedModel) {
  EXPECT_EQ(schedule_.use_requested(1, "", kStart),
            (Effects{Answer{1, Reply::kNothingLoaded, ""}}));
  load_beside("a");
  EXPECT_EQ(schedule_.use_requested(2, "", kStart), (Effects{Answer{2, Reply::kUse, "a"}}));
}

TEST_F(SeveralModels, ALoadOfTheOriginalsKindReplacesTheLoadedModelOnly) {
  load_beside("a");
  load_beside("b");
  EXPECT_EQ(schedule_.load_requested(1, "c", false), (Effects{StartLoad{"c", false}}));
  schedule_.load_began();
  EXPECT_FALSE(schedule_.in_use("a"));
  EXPECT_TRUE(schedule_.in_use("b"));
  EXPECT_EQ(schedule_.load_ended(LoadResult::kLoaded, kStart), (Effects{outcome(1, "c")}));
  EXPECT_EQ(schedule_.current(), "c");
}

TEST_F(SeveralModels, LoadingAModelThatIsThereAlreadyMakesItTheLoadedOne) {
  load_beside("a");
  load_beside("b");
  EXPECT_EQ(schedule_.load_requested(1, "b", false),
            (Effects{StopEngine{"a"}, Answer{1, Reply::kAlreadyLoaded, "b"}}));
  EXPECT_EQ(schedule_.current(), "b");
}

TEST_F(SeveralModels, UnloadNamesOneModelAndLeavesTheOthers) {
  load_beside("a");
  load_beside("b");
  EXPECT_EQ(schedule_.unload_requested(1, "b"), Effects{StopEngine{"b"}});
  EXPECT_EQ(schedule_.engine_stopped("b"), (Effects{Answer{1, Reply::kUnloaded, "b"}}));
  EXPECT_EQ(schedule_.current(), "a");
}

TEST_F(SeveralModels, UnloadWithoutANameDoesNotTouchALoadOnDemand) {
  load_beside("a");
  begin_beside(1, "b", kStart);
  EXPECT_EQ(schedule_.unload_requested(2), Effects{StopEngine{"a"}});
  EXPECT_EQ(schedule_.unload_requested(3, "b"), Effects{CancelLoad{}});
}

TEST_F(SeveralModels, AnIdleModelLeavesWhenThereIsNoRoom) {
  load_beside("a");
  auto const later = kStart + seconds(3);
  load_beside("b", later);
  begin_beside(1, "c", later + seconds(3));
  EXPECT_EQ(room(10, 5, later + seconds(3)), (Effects{GrantRoom{{"a"}}}));
  EXPECT_FALSE(schedule_.in_use("a"));
  EXPECT_EQ(schedule_.current(), "");
  EXPECT_EQ(schedule_.load_ended(LoadResult::kLoaded, later),
            (Effects{Answer{1, Reply::kUse, "c"}}));
  EXPECT_EQ(schedule_.current(), "c");
}

TEST_F(SeveralModels, AModelThatWasUsedAMomentAgoIsLeftInPeaceForAMoment) {
  load_beside("a");
  begin_beside(1, "b", kStart + seconds(1));
  EXPECT_EQ(room(10, 5, kStart + seconds(1)), Effects{});
  EXPECT_EQ(schedule_.next_tick(kStart + seconds(1)), kStart + seconds(2));
  EXPECT_EQ(schedule_.tick(kStart + seconds(2)), Effects{MeasureRoom{}});
  EXPECT_EQ(measured(5, kStart + seconds(2)), (Effects{GrantRoom{{"a"}}}));
}

TEST_F(SeveralModels, ABusyModelIsWaitedForAndTakesFurtherRequestsMeanwhile) {
  load_beside("a");
  EXPECT_EQ(schedule_.use_requested(1, "a", kStart), (Effects{Answer{1, Reply::kUse, "a"}}));
  begin_beside(2, "b", kStart);
  EXPECT_EQ(room(10, 5, kStart), Effects{});
  EXPECT_EQ(schedule_.use_requested(3, "a", kStart + seconds(19)),
            (Effects{Answer{3, Reply::kUse, "a"}}));
}

TEST_F(SeveralModels, AfterTheLongestWaitABusyModelTakesNoFurtherRequests) {
  load_beside("a");
  EXPECT_EQ(schedule_.use_requested(1, "a", kStart), (Effects{Answer{1, Reply::kUse, "a"}}));
  begin_beside(2, "b", kStart);
  EXPECT_EQ(room(10, 5, kStart), Effects{});
  auto const late = kStart + seconds(20);
  EXPECT_EQ(schedule_.next_tick(kStart), late);
  EXPECT_EQ(schedule_.tick(late), Effects{MeasureRoom{}});
  EXPECT_EQ(measured(5, late), Effects{});
  EXPECT_EQ(schedule_.use_requested(3, "a", late), Effects{}) << "it has to wait behind b";
  EXPECT_EQ(schedule_.use_ended(1, true, late), Effects{MeasureRoom{}});
  EXPECT_EQ(measured(5, late), (Effects{GrantRoom{{"a"}}}));
  EXPECT_EQ(schedule_.load_ended(LoadResult::kLoaded, late),
            (Effects{Answer{2, Reply::kUse, "b"}, StartLoad{"a", false, Place::kBeside}}));
}

TEST_F(SeveralModels, WhatCannotFitIsDenied) {
  load_beside("a");
  begin_beside(1, "b", kStart);
  EXPECT_EQ(room(100, 5, kStart), Effects{DenyRoom{}});
}

TEST_F(SeveralModels, AnEngineThatIsStoppingIsWaitedForBeforeRoomIsMeasured) {
  load_beside("a");
  load_beside("b");
  begin_beside(1, "c", kStart + seconds(9));
  EXPECT_EQ(schedule_.unload_requested(2, "a"), Effects{StopEngine{"a"}});
  EXPECT_EQ(schedule_.room_wanted(20, kStart + seconds(9)), Effects{});
  EXPECT_EQ(schedule_.engine_stopped("a"),
            (Effects{Answer{2, Reply::kUnloaded, "a"}, MeasureRoom{}}));
}

TEST_F(SeveralModels, ThePinnedModelNeverGoesByItself) {
  load_beside("pinned");
  begin_beside(1, "b", kStart + seconds(9));
  EXPECT_EQ(schedule_.room_wanted(10, kStart + seconds(9)), Effects{MeasureRoom{}});
  EXPECT_EQ(schedule_.room_measured(5, {{"pinned", 10}}, kStart + seconds(9)), Effects{DenyRoom{}});
}

TEST_F(SeveralModels, AClientThatLeftIsForgotten) {
  EXPECT_EQ(schedule_.use_requested(1, "a", kStart).size(), 1U);
  EXPECT_EQ(schedule_.use_requested(2, "b", kStart), Effects{});
  EXPECT_EQ(schedule_.use_ended(2, false, kStart), Effects{});
  EXPECT_FALSE(schedule_.in_use("b"));
  EXPECT_EQ(schedule_.use_ended(1, false, kStart), Effects{});
  EXPECT_EQ(schedule_.load_ended(LoadResult::kLoaded, kStart), Effects{});
}

TEST_F(SeveralModels, AfterAFailedLoadRequestsAreRefusedForAWhileThatGrows) {
  auto const fail_once = [&](Ticket ticket, Time when) {
    EXPECT_EQ(schedule_.use_requested(ticket, "a", when).size(), 1U);
    EXPECT_EQ(schedule_.load_ended(LoadResult::kFailed, when), (Effects{outcome(ticket, "a")}));
  };
  fail_once(1, kStart);
  EXPECT_EQ(schedule_.use_requested(2, "a", kStart), (Effects{Answer{2, Reply::kBackingOff, "a"}}));
  EXPECT_EQ(schedule_.retry_after("a", kStart), seconds(5));
  fail_once(3, kStart + seconds(5));
  EXPECT_EQ(schedule_.retry_after("a", kStart + seconds(5)), seconds(10));
  EXPECT_EQ(schedule_.load_requested(4, "a", false).size(), 1U) << "who asks for it gets a try";
  EXPECT_EQ(schedule_.load_ended(LoadResult::kLoaded, kStart), (Effects{outcome(4, "a")}));
  EXPECT_EQ(schedule_.retry_after("a", kStart), milliseconds(0));
}

TEST_F(SeveralModels, ACancelledLoadIsNoFailure) {
  EXPECT_EQ(schedule_.use_requested(1, "a", kStart).size(), 1U);
  EXPECT_EQ(schedule_.load_ended(LoadResult::kCancelled, kStart), (Effects{outcome(1, "a")}));
  EXPECT_EQ(schedule_.retry_after("a", kStart), milliseconds(0));
}

TEST_F(SeveralModels, AnEngineThatDiesAgainAndAgainIsLeftAloneUntilItDidSomethingWell) {
  load_beside("a");
  EXPECT_EQ(schedule_.engine_died("a", kStart), Effects{});
  EXPECT_EQ(schedule_.use_requested(1, "a", kStart), (Effects{Answer{1, Reply::kBackingOff, "a"}}));
}

// ---- Idle time ----

TEST(IdleTime, AModelIsUnloadedWhenItWasIdleLongEnough) {
  Schedule schedule({.keep_alive = seconds(60)});
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.next_tick(kStart), kStart + seconds(60));
  EXPECT_EQ(schedule.tick(kStart + seconds(59)), Effects{});
  EXPECT_EQ(schedule.tick(kStart + seconds(60)), Effects{StopEngine{"a"}});
}

TEST(IdleTime, AUseStartsItAnew) {
  Schedule schedule({.keep_alive = seconds(60)});
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.use_requested(2, "a", kStart + seconds(50)).size(), 1U);
  EXPECT_EQ(schedule.tick(kStart + seconds(100)), Effects{});
  EXPECT_EQ(schedule.use_ended(2, true, kStart + seconds(100)), Effects{});
  EXPECT_EQ(schedule.next_tick(kStart + seconds(100)), kStart + seconds(160));
}

TEST(IdleTime, ARequestMaySayHowLong) {
  Schedule schedule;
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.next_tick(kStart), std::nullopt) << "for ever is the default";
  EXPECT_EQ(schedule.use_requested(2, "a", kStart, seconds(5)).size(), 1U);
  EXPECT_EQ(schedule.use_ended(2, true, kStart), Effects{});
  EXPECT_EQ(schedule.tick(kStart + seconds(5)), Effects{StopEngine{"a"}});
}

TEST(IdleTime, NothingMeansAtOnceAndLessThanNothingForEver) {
  Schedule schedule({.keep_alive = seconds(60)});
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.use_requested(2, "a", kStart, seconds(-1)).size(), 1U);
  EXPECT_EQ(schedule.use_ended(2, true, kStart), Effects{});
  EXPECT_EQ(schedule.next_tick(kStart), std::nullopt);
  EXPECT_EQ(schedule.use_requested(3, "a", kStart, seconds(0)).size(), 1U);
  EXPECT_EQ(schedule.use_ended(3, true, kStart), Effects{StopEngine{"a"}});
}

TEST(IdleTime, ThePinnedModelStays) {
  Schedule schedule({.keep_alive = seconds(60), .pinned = {"a"}});
  make_loaded(schedule, "a");
  EXPECT_EQ(schedule.next_tick(kStart), std::nullopt);
  EXPECT_EQ(schedule.tick(kStart + seconds(600)), Effects{});
}

}  // namespace
}  // namespace homelab::engine
