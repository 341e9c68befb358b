#pragma once
// Notices that nothing has happened for a while.
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

#include "http/timers.h"

namespace homelab::config {
class Settings;
}

namespace homelab::api {

/// After how much silence a stream gets a sign of life (HOMELAB_LLM_PING_MS); 0 = never.
[[nodiscard]] std::chrono::milliseconds ping_interval(config::Settings const& settings);

/// Calls `on_quiet` each time that `interval` has passed without heard(). Thread-safe. The timers
/// must outlive it.
class QuietWatch : public std::enable_shared_from_this<QuietWatch> {
 public:
  /// `interval` 0: never. `on_quiet` comes on an I/O loop and must not block.
  QuietWatch(http::Timers& timers, std::chrono::milliseconds interval,
             std::function<void()> on_quiet)
      : timers_(timers), interval_(interval), on_quiet_(std::move(on_quiet)) {}

  void start();
  void heard() { last_ = timers_.now(); }
  /// No call begins after this; one may still be running.
  void stop();

 private:
  using Clock = http::Timers::Clock;
  void look_again_after(std::chrono::milliseconds delay);
  void look();

  http::Timers& timers_;
  std::chrono::milliseconds const interval_;
  std::function<void()> const on_quiet_;
  std::atomic<Clock::time_point> last_{Clock::time_point()};
  std::mutex mutex_;
  std::shared_ptr<void> timer_;  // guarded by mutex_
  bool stopped_ = false;         // guarded by mutex_
};

}  // namespace homelab::api
