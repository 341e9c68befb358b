#include "http/timers.h"

#include <gtest/gtest.h>

#include <future>

namespace homelab::http {
namespace {

using std::chrono::milliseconds;

TEST(Timers, call_once_and_not_before_their_time) {
  IoLoops loops(2);
  auto const timers = make_timers(loops);
  std::promise<Timers::Clock::time_point> called;
  auto const begun = timers->now();
  auto const handle = timers->after(milliseconds(20), [&] { called.set_value(timers->now()); });
  EXPECT_GE(called.get_future().get() - begun, milliseconds(20));
}

TEST(Timers, that_were_taken_back_do_not_call) {
  IoLoops loops(1);
  auto const timers = make_timers(loops);
  bool called = false;
  std::promise<void> later;
  std::shared_ptr<void> last;
  // On the loop itself, where nothing else can run before this has ended.
  auto const begin = timers->after(milliseconds(0), [&] {
    auto dropped = timers->after(milliseconds(0), [&] { called = true; });
    dropped = nullptr;
    last = timers->after(milliseconds(1), [&] { later.set_value(); });
  });
  later.get_future().get();
  EXPECT_FALSE(called);
}

TEST(Timers, that_were_taken_back_let_go_of_what_they_hold) {
  IoLoops loops(1);
  auto const timers = make_timers(loops);
  auto const held = std::make_shared<int>(0);
  auto handle = timers->after(std::chrono::hours(1), [held] { ++*held; });
  EXPECT_EQ(held.use_count(), 2);
  handle = nullptr;
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Timers, leave_handles_behind_that_may_outlive_the_loops) {
  std::shared_ptr<void> handle;
  auto const held = std::make_shared<int>(0);
  {
    IoLoops loops(1);
    handle = make_timers(loops)->after(std::chrono::hours(1), [held] { ++*held; });
  }
  handle = nullptr;
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace homelab::http
