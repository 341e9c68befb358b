#pragma once
// The thread that writes performance rows, so that no generation waits for the disk.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/result.h"
#include "registry/model.h"

namespace homelab::registry {

/// Bounded queue with one writer thread. All functions are thread-safe. Destroying it writes what
/// is queued.
class PerformanceWriter {
 public:
  static constexpr std::size_t kMaxQueued = 4096;
  /// Writes one batch completely or not at all. Called by the writer thread only.
  using Write = std::function<Status(std::vector<PerformanceRow> const& batch)>;

  /// One small step of other work on the same thread, while no row waits. True: there is more to do
  /// now. Called at the begin, every hour, and after every so many rows.
  using Upkeep = std::function<bool()>;

  explicit PerformanceWriter(Write write,
                             std::chrono::milliseconds retry_pause = std::chrono::milliseconds(200),
                             Upkeep upkeep = {});
  ~PerformanceWriter();
  PerformanceWriter(PerformanceWriter const&) = delete;
  PerformanceWriter& operator=(PerformanceWriter const&) = delete;

  /// Never waits for the disk; a full queue drops the row and counts it.
  void push(PerformanceRow row);
  /// Until every row pushed so far is on disk, or was given up after three failed tries and counted
  /// as dropped.
  void flush();
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(); }

 private:
  void run();
  void write_queued(std::unique_lock<std::mutex>& lock);
  void do_upkeep(std::unique_lock<std::mutex>& lock);
  void write_batch(std::vector<PerformanceRow> const& batch);

  Write write_;
  std::chrono::milliseconds retry_pause_;
  Upkeep upkeep_;
  std::chrono::steady_clock::time_point next_upkeep_;  ///< of the thread, as the next one
  std::size_t rows_since_upkeep_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<PerformanceRow> queue_;  ///< guarded by mutex_, as the three below
  std::uint64_t pushed_ = 0;
  std::uint64_t finished_ = 0;
  bool stopping_ = false;
  std::atomic<std::uint64_t> dropped_{0};
  std::thread thread_;  ///< last: starts when everything else is there
};

}  // namespace homelab::registry
