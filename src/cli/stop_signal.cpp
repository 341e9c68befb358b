#include "stop_signal.h"

#include <signal.h>

#include <atomic>

namespace homelab::cli {
namespace {

std::atomic<bool> stop_raised{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not take locks");

extern "C" void note_stop(int) { stop_raised.store(true, std::memory_order_relaxed); }

}  // namespace

struct StopSignal::Saved {
  struct sigaction interrupt{};
  struct sigaction terminate{};
};

StopSignal::StopSignal() : saved_(std::make_unique<Saved>()) {
  clear();
  struct sigaction action{};
  action.sa_handler = note_stop;
  // No SA_RESTART: a read of the keyboard must end.
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &saved_->interrupt);
  ::sigaction(SIGTERM, &action, &saved_->terminate);
}

StopSignal::~StopSignal() {
  ::sigaction(SIGINT, &saved_->interrupt, nullptr);
  ::sigaction(SIGTERM, &saved_->terminate, nullptr);
}

bool StopSignal::raised() { return stop_raised.load(std::memory_order_relaxed); }
void StopSignal::clear() { stop_raised.store(false, std::memory_order_relaxed); }

}  // namespace homelab::cli
