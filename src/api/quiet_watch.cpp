#include "quiet_watch.h"

#include <utility>

#include "base/strings.h"
#include "config/settings.h"

namespace homelab::api {

std::chrono::milliseconds ping_interval(config::Settings const& settings) {
  auto const number = parse_uint(trim(settings.text("HOMELAB_LLM_PING_MS")));
  return std::chrono::milliseconds(number.value_or(0));
}

void QuietWatch::start() {
  if (interval_.count() <= 0) return;
  heard();
  look_again_after(interval_);
}

void QuietWatch::stop() {
  std::shared_ptr<void> dropped;  // outside the lock: it owns other objects
  std::lock_guard const lock(mutex_);
  stopped_ = true;
  dropped.swap(timer_);
}

void QuietWatch::look_again_after(std::chrono::milliseconds delay) {
  std::shared_ptr<void> old;
  std::lock_guard const lock(mutex_);
  if (stopped_) return;
  old = std::exchange(timer_, timers_.after(delay, [weak = weak_from_this()] {
    if (auto const self = weak.lock()) self->look();
  }));
}

// What is heard only notes its time: a stream of many small pieces sets no timers.
void QuietWatch::look() {
  auto const silence = std::chrono::ceil<std::chrono::milliseconds>(timers_.now() - last_.load());
  if (silence < interval_) return look_again_after(interval_ - silence);
  {
    std::lock_guard const lock(mutex_);
    if (stopped_) return;
  }
  on_quiet_();
  heard();
  look_again_after(interval_);
}

}  // namespace homelab::api
