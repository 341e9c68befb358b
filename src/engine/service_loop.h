#pragma once
// One thread that runs commands one after another and watches descriptors: the only place where the
// state of the engine service changes.
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "base/os/events.h"
#include "base/result.h"

namespace homelab::engine {

class ServiceLoop {
 public:
  using Command = std::function<void()>;
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] static Result<std::unique_ptr<ServiceLoop>> create(std::size_t max_commands);
  ServiceLoop(ServiceLoop const&) = delete;
  ServiceLoop& operator=(ServiceLoop const&) = delete;
  ~ServiceLoop();

  /// Queues work that comes from outside. False (nothing is queued) when the bound is reached or
  /// the loop has ended.
  [[nodiscard]] bool post(Command command);
  /// Queues the end of something that is already running: not counted against the bound, because
  /// what runs is bounded itself. Dropped after stop().
  void post_internal(Command command);

  /// On the loop only: calls `ready` whenever `fd` can be read, until unwatch().
  void watch(int fd, Command ready);
  void unwatch(int fd);
  /// On the loop only: calls `command` once at `when`. Timers are few; there is no way to take one
  /// back.
  void at(Clock::time_point when, Command command);

  /// Runs what is queued, then ends the thread and waits for it. Not from the loop itself.
  void stop();

 private:
  ServiceLoop(os::WakeUp wake_up, std::size_t max_commands);
  void run();
  void run_commands();
  void run_timers();
  [[nodiscard]] std::chrono::milliseconds time_to_next_timer() const;

  os::WakeUp wake_up_;
  std::size_t const max_commands_;
  std::mutex mutex_;
  std::deque<Command> commands_;  // guarded by mutex_
  bool stopping_ = false;         // guarded by mutex_
  std::map<int, Command> watched_;
  std::multimap<Clock::time_point, Command> timers_;
  std::thread thread_;
};

}  // namespace homelab::engine
