#include <signal.h>

#include <thread>
#include <vector>

#include "service_fixture.h"

namespace homelab::engine {
namespace {

class RaceTest : public ServiceTest {};

/// What a caller may be told when others load, unload and kill at the same time.
bool is_expected(Code code) {
  return code == Code::kFailedPrecondition || code == Code::kAborted ||
         code == Code::kUnavailable || code == Code::kCancelled || code == Code::kInternal ||
         code == Code::kDataLoss;
}

TEST_F(RaceTest, EveryRequestEndsOnceWhileModelsComeGoAndDie) {
  add_local("a");
  add_local("b", "--slow-load 5");
  constexpr int kRounds = 12;
  std::atomic<int> loads{0};
  std::atomic<int> texts{0};
  auto const loader = [&](std::string const& name) {
    for (int i = 0; i < kRounds; ++i) {
      auto const model = load(name);
      if (model) {
        ++loads;
      } else {
        EXPECT_TRUE(is_expected(model.error().code)) << model.error().message;
      }
    }
  };
  auto const generator = [&] {
    for (int i = 0; i < kRounds * 4; ++i) {
      Listener listener;
      auto const running =
          service_->generate({.prompt = "x y", .max_tokens = 20}, listener.callbacks());
      if (i % 5 == 0) running->cancel();
      auto const heard = listener.wait();
      EXPECT_EQ(heard.ends, 1);
      texts += heard.texts;
      if (!*heard.result) {
        EXPECT_TRUE(is_expected(heard.result->error().code)) << heard.result->error().message;
      }
    }
  };
  auto const disturber = [&] {
    for (int i = 0; i < kRounds; ++i) {
      auto const loaded = service_->loaded();
      if (i % 3 == 0 && loaded) ::kill(loaded->pid, SIGKILL);
      auto const name = unload();
      if (!name) {
        EXPECT_EQ(name.error().code, Code::kFailedPrecondition);
      }
      static_cast<void>(service_->jobs());
      static_cast<void>(forward("GET", "/fake/stats"));
    }
  };
  std::vector<std::thread> threads;
  threads.emplace_back(loader, "a");
  threads.emplace_back(loader, "b");
  for (int i = 0; i < 3; ++i) threads.emplace_back(generator);
  threads.emplace_back(disturber);
  for (auto& thread : threads) thread.join();
  EXPECT_GT(loads, 0);
  auto const last = load("a", true);
  ASSERT_TRUE(last) << last.error().message;
  EXPECT_EQ(generate({.prompt = "x", .max_tokens = 2}).text, "w0 w1");
}

TEST_F(RaceTest, ShutdownInTheMiddleOfEverythingAnswersEverybody) {
  add_local("a");
  add_local("b", "--slow-load 20");
  ASSERT_TRUE(load("a"));
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 30; ++i) EXPECT_EQ(generate({.prompt = "x", .max_tokens = 50}).ends, 1);
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 10; ++i) static_cast<void>(load(i % 2 == 0 ? "b" : "a"));
  });
  service_->shutdown(std::chrono::milliseconds(5));
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(service_->loaded());
}

}  // namespace
}  // namespace homelab::engine
