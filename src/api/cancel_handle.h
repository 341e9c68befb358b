#pragma once
// Joins "the client is gone" with "the work that is running for it", whichever comes first.
#include <memory>
#include <mutex>
#include <utility>

#include "engine/engine_service.h"

namespace homelab::api {

/// Thread-safe. cancel() before hold() is remembered. Lets go of the work after release().
class CancelHandle {
 public:
  void hold(std::shared_ptr<engine::Running> running) {
    {
      std::lock_guard const lock(mutex_);
      if (released_) return;
      if (!cancelled_) {
        running_ = std::move(running);
        return;
      }
    }
    if (running) running->cancel();
  }

  void cancel() {
    std::shared_ptr<engine::Running> running;
    {
      std::lock_guard const lock(mutex_);
      cancelled_ = true;
      running = std::move(running_);
      running_ = nullptr;
    }
    // Outside the lock: cancelling may call back into the stream that holds this handle.
    if (running) running->cancel();
  }

  /// The work has ended by itself.
  void release() {
    std::lock_guard const lock(mutex_);
    released_ = true;
    running_ = nullptr;
  }

  [[nodiscard]] bool cancelled() const {
    std::lock_guard const lock(mutex_);
    return cancelled_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<engine::Running> running_;
  bool cancelled_ = false;
  bool released_ = false;
};

}  // namespace homelab::api
