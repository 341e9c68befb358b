#pragma once
// Loads that run or ended lately, for people who watch.
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "engine/engine_service.h"

namespace homelab::engine {

/// Thread-safe. Keeps the last kKept jobs.
class JobList {
 public:
  static constexpr std::size_t kKept = 50;
  using Clock = std::chrono::steady_clock;

  /// Adds a job in state `state` and gives its id.
  [[nodiscard]] std::int64_t begin(std::string kind, std::string model, std::string state);
  void set_state(std::int64_t id, std::string state);
  void set_progress(std::int64_t id, hub::Progress const& progress, Clock::time_point now);
  /// "done", or "cancelled" / "failed" with the error's text.
  void end(std::int64_t id, Status const& outcome);
  /// Newest first.
  [[nodiscard]] std::vector<JobView> views() const;

 private:
  struct Entry {
    JobView view;
    Clock::time_point measured_at{};
    std::uint64_t measured_bytes = 0;
    bool measured = false;
  };
  [[nodiscard]] Entry* find(std::int64_t id);

  mutable std::mutex mutex_;
  std::deque<Entry> entries_;  // guarded by mutex_, oldest first
  std::int64_t last_id_ = 0;
};

}  // namespace homelab::engine
