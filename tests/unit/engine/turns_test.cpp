#include "turns.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;
using Tickets = std::vector<Ticket>;

constexpr milliseconds kMaxWait{1000};
Time const kStart{};

TEST(Turns, ATaskBeginsAtOnceWhenNobodyWorks) {
  Turns turns(4, kMaxWait);
  EXPECT_EQ(turns.enter(1, "a", 4, kStart), Tickets{1});
}

TEST(Turns, TasksOfOneModelWorkSideBySide) {
  Turns turns(4, kMaxWait);
  EXPECT_EQ(turns.enter(1, "a", 4, kStart), Tickets{1});
  EXPECT_EQ(turns.enter(2, "a", 4, kStart), Tickets{2});
}

TEST(Turns, AnotherModelWaitsUntilTheFirstIsDone) {
  Turns turns(4, kMaxWait);
  EXPECT_EQ(turns.enter(1, "a", 4, kStart), Tickets{1});
  EXPECT_EQ(turns.enter(2, "b", 4, kStart), Tickets{});
  EXPECT_EQ(turns.waiting(), 1U);
  EXPECT_EQ(turns.leave(1, kStart), Tickets{2});
}

TEST(Turns, ModelsThatFitTheBudgetTogetherWorkTogether) {
  Turns turns(4, kMaxWait);
  EXPECT_EQ(turns.enter(1, "a", 2, kStart), Tickets{1});
  EXPECT_EQ(turns.enter(2, "b", 2, kStart), Tickets{2});
  EXPECT_EQ(turns.enter(3, "c", 2, kStart), Tickets{});
}

TEST(Turns, AModelThatWantsMoreThanTheBudgetWorksAlone) {
  Turns turns(2, kMaxWait);
  EXPECT_EQ(turns.enter(1, "a", 8, kStart), Tickets{1});
  EXPECT_EQ(turns.enter(2, "b", 1, kStart), Tickets{});
  EXPECT_EQ(turns.leave(1, kStart), Tickets{2});
}

TEST(Turns, AModelOnAGpuWaitsForNobody) {
  Turns turns(4, kMaxWait);
  EXPECT_EQ(turns.enter(1, "a", 4, kStart), Tickets{1});
  EXPECT_EQ(turns.enter(2, "gpu", 0, kStart), Tickets{2});
}

TEST(Turns, TheWorkingModelTakesMoreWhileTheOtherHasNotWaitedLong) {
  Turns turns(4, kMaxWait);
  EXPECT_EQ(turns.enter(1, "a", 4, kStart), Tickets{1});
  EXPECT_EQ(turns.enter(2, "b", 4, kStart), Tickets{});
  EXPECT_EQ(turns.enter(3, "a", 4, kStart + kMaxWait / 2), Tickets{3});
}

TEST(Turns, WhoHasWaitedLongEnoughIsNotOvertaken) {
  Turns turns(4, kMaxWait);
  EXPECT_EQ(turns.enter(1, "a", 4, kStart), Tickets{1});
  EXPECT_EQ(turns.enter(2, "b", 4, kStart), Tickets{});
  EXPECT_EQ(turns.enter(3, "a", 4, kStart + kMaxWait), Tickets{});
  EXPECT_EQ(turns.leave(1, kStart + kMaxWait), Tickets{2});
  EXPECT_EQ(turns.leave(2, kStart + kMaxWait), Tickets{3});
}

TEST(Turns, AWaitingTaskMayLeave) {
  Turns turns(4, kMaxWait);
  EXPECT_EQ(turns.enter(1, "a", 4, kStart), Tickets{1});
  EXPECT_EQ(turns.enter(2, "b", 4, kStart), Tickets{});
  EXPECT_EQ(turns.leave(2, kStart), Tickets{});
  EXPECT_EQ(turns.leave(1, kStart), Tickets{});
  EXPECT_EQ(turns.waiting(), 0U);
}

TEST(Turns, WhoIsUnknownMayLeaveAsOftenAsHeLikes) {
  Turns turns(4, kMaxWait);
  EXPECT_EQ(turns.leave(7, kStart), Tickets{});
}

RC_GTEST_PROP(Turns, TheBudgetHoldsAndNobodyIsForgotten, ()) {
  unsigned const budget = *rc::gen::inRange(1U, 6U);
  auto const steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 3), rc::gen::inRange(0, 20)));
  Turns turns(budget, kMaxWait);
  std::map<Ticket, int> model_of;
  std::set<Ticket> working;
  Time now = kStart;
  Ticket last = 0;
  auto const threads_of = [](int model) { return static_cast<unsigned>(model) + 1; };
  auto const begin = [&](Tickets const& tickets) {
    for (auto const ticket : tickets) RC_ASSERT(working.insert(ticket).second);
    std::map<int, unsigned> used;
    for (auto const ticket : working) used[model_of.at(ticket)] = threads_of(model_of.at(ticket));
    unsigned sum = 0;
    for (auto const& [model, threads] : used) sum += threads;
    RC_ASSERT(used.size() <= 1U || sum <= budget);
  };
  auto const leave = [&](Ticket ticket) {
    model_of.erase(ticket);
    working.erase(ticket);
    begin(turns.leave(ticket, now));
  };
  for (auto const& [action, choice] : steps) {
    now += milliseconds(choice * 50);
    if (action < 2) {
      model_of[++last] = choice % 3;
      begin(turns.enter(last, std::to_string(choice % 3), threads_of(choice % 3), now));
    } else if (!model_of.empty()) {
      leave(std::next(model_of.begin(), choice % static_cast<int>(model_of.size()))->first);
    }
  }
  while (!working.empty()) leave(*working.begin());
  RC_ASSERT(model_of.empty());
  RC_ASSERT(turns.waiting() == 0U);
}

}  // namespace
}  // namespace homelab::engine
