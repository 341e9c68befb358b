#pragma once
// Calls that come later, on the I/O loops.
#include <chrono>
#include <functional>
#include <memory>

#include "http/server.h"

namespace homelab::http {

/// All functions are thread-safe.
class Timers {
 public:
  using Clock = std::chrono::steady_clock;
  virtual ~Timers() = default;

  [[nodiscard]] virtual Clock::time_point now() const = 0;
  /// Calls `command` once after `delay`, on one I/O loop; it must not block. Dropping the handle
  /// takes the call back, unless it has begun; a handle may outlive the loops.
  [[nodiscard]] virtual std::shared_ptr<void> after(std::chrono::milliseconds delay,
                                                    std::function<void()> command) = 0;
};

/// `loops` must outlive it.
[[nodiscard]] std::unique_ptr<Timers> make_timers(IoLoops& loops);

}  // namespace homelab::http
