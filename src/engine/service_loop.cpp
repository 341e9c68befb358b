#include "service_loop.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace homelab::engine {

Result<std::unique_ptr<ServiceLoop>> ServiceLoop::create(std::size_t max_commands) {
  ASSIGN_OR_RETURN(auto wake_up, os::WakeUp::create());
  return std::unique_ptr<ServiceLoop>(new ServiceLoop(std::move(wake_up), max_commands));
}

ServiceLoop::ServiceLoop(os::WakeUp wake_up, std::size_t max_commands)
    : wake_up_(std::move(wake_up)), max_commands_(max_commands), thread_([this] { run(); }) {}

ServiceLoop::~ServiceLoop() { stop(); }

bool ServiceLoop::post(Command command) {
  {
    std::lock_guard const lock(mutex_);
    if (stopping_ || commands_.size() >= max_commands_) return false;
    commands_.push_back(std::move(command));
  }
  wake_up_.notify();
  return true;
}

void ServiceLoop::post_internal(Command command) {
  {
    std::lock_guard const lock(mutex_);
    if (stopping_) return;
    commands_.push_back(std::move(command));
  }
  wake_up_.notify();
}

void ServiceLoop::watch(int fd, Command ready) { watched_[fd] = std::move(ready); }
void ServiceLoop::unwatch(int fd) { watched_.erase(fd); }
void ServiceLoop::at(Clock::time_point when, Command command) {
  timers_.emplace(when, std::move(command));
}

void ServiceLoop::stop() {
  {
    std::lock_guard const lock(mutex_);
    stopping_ = true;
  }
  wake_up_.notify();
  if (thread_.joinable()) thread_.join();
}

std::chrono::milliseconds ServiceLoop::time_to_next_timer() const {
  using std::chrono::milliseconds;
  if (timers_.empty()) return milliseconds(-1);
  auto const left = std::chrono::ceil<milliseconds>(timers_.begin()->first - Clock::now());
  return std::clamp(left, milliseconds(0), milliseconds(60'000));
}

void ServiceLoop::run() {
  while (true) {
    std::vector<int> fds = {wake_up_.fd()};
    for (auto const& entry : watched_) fds.push_back(entry.first);
    auto const ready = os::wait_readable(fds, time_to_next_timer());
    for (int const fd : ready) {
      // A copy, because the command may unwatch itself; looked up anew, because an earlier one may
      // have.
      auto const found = watched_.find(fd);
      if (found == watched_.end()) continue;
      Command const command = found->second;
      command();
    }
    wake_up_.clear();
    run_commands();
    run_timers();
    std::lock_guard const lock(mutex_);
    if (stopping_ && commands_.empty()) break;
  }
  // What never came due may hold tasks, and tasks hold the owner of this loop: a ring that would
  // keep all of them.
  timers_.clear();
  watched_.clear();
}

void ServiceLoop::run_commands() {
  std::deque<Command> batch;
  {
    std::lock_guard const lock(mutex_);
    batch.swap(commands_);
  }
  for (auto& command : batch) std::exchange(command, {})();
}

void ServiceLoop::run_timers() {
  auto const now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Command const command = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    command();
  }
}

}  // namespace homelab::engine
