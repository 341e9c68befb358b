#pragma once
// One blob that is being fetched, and what the transfers of a snapshot share.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "attempt.h"
#include "cache/blob_writer.h"
#include "hub/downloader.h"
#include "retry.h"
#include "sink.h"

namespace homelab::hub {

/// Threads and buffers of all downloads of a Downloader; exists only while one runs.
struct Machinery {
  static constexpr std::size_t kChunks = 24;  ///< 6 MiB
  static constexpr std::size_t kSyncThreads = 4;

  explicit Machinery(std::size_t write_threads)
      : chunks(std::make_shared<ChunkPool>(kChunks)),
        writers(write_threads),
        syncers(kSyncThreads) {}
  std::shared_ptr<ChunkPool> chunks;
  WorkPool writers;  ///< hash and write
  WorkPool syncers;  ///< open, sync and rename: tasks that wait for the disk
};

using Clock = std::chrono::steady_clock;

/// A blob on its way. Touched only by the thread that runs the snapshot; others tell it what
/// happened through events.
struct FetchJob {
  FetchJob(cache::TreeFile wanted, cache::BlobName blob, std::chrono::milliseconds retry_unit)
      : file(std::move(wanted)), name(std::move(blob)), budget(retry_unit) {}

  cache::TreeFile file;
  cache::BlobName name;
  bool small = false;
  std::optional<os::FileLock> lock;
  std::shared_ptr<MemorySink> memory;
  std::shared_ptr<DiskSink> disk;
  std::shared_ptr<http::Transfer> transfer;
  RetryBudget budget;
  Clock::time_point not_before{};
  bool started_over = false;          ///< one fresh start after wrong bytes is allowed
  std::uint64_t counted_present = 0;  ///< bytes found on the disk, in the progress as present
  std::uint64_t from = 0;             ///< first byte the running attempt asked for

  [[nodiscard]] std::shared_ptr<Sink> sink() const {
    return small ? std::shared_ptr<Sink>(memory) : std::shared_ptr<Sink>(disk);
  }
};

/// What other threads tell the snapshot's thread.
class EventQueue {
 public:
  void post(std::function<void()> event) {
    // Told under the lock: after the last event the queue may be gone.
    std::lock_guard const guard(mutex_);
    events_.push_back(std::move(event));
    changed_.notify_one();
  }
  /// Waits at most `limit` and gives what there is.
  [[nodiscard]] std::deque<std::function<void()>> take(std::chrono::milliseconds limit) {
    std::unique_lock guard(mutex_);
    changed_.wait_for(guard, limit, [this] { return !events_.empty(); });
    return std::exchange(events_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> events_;
};

}  // namespace homelab::hub
