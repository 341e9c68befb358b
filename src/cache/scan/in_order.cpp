#include "in_order.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace homelab::cache::scan {
namespace {

constexpr std::size_t kMaxThreads = 8;
/// Below this a thread costs more than it brings.
constexpr std::size_t kWorthThreads = 16;
/// Repositories that change hands together: most are read in less time than a thread needs to wake.
constexpr std::size_t kBatch = 8;
/// How many batches may be read or wait for their turn, so that one slow repository does not let
/// the others pile up in memory.
constexpr std::size_t kMaxWaiting = 12;

using Batch = std::vector<std::optional<RepoScan>>;

/// Numbers of batches for the readers, results by number for the visitor.
class Queue {
 public:
  explicit Queue(std::size_t count) : count_(count) {}

  /// The next number to read; nullopt: no more.
  std::optional<std::size_t> next() {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return stopped_ || next_ < visited_ + kMaxWaiting; });
    if (stopped_ || next_ == count_) return std::nullopt;
    return next_++;
  }
  void put(std::size_t number, Batch&& batch) {
    std::lock_guard const lock(mutex_);
    results_.emplace(number, std::move(batch));
    if (number == visited_) ready_.notify_one();
  }
  Batch take(std::size_t number) {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return results_.contains(number); });
    Batch batch = std::move(results_.extract(number).mapped());
    visited_ = number + 1;
    room_.notify_all();
    return batch;
  }
  void stop() {
    std::lock_guard const lock(mutex_);
    stopped_ = true;
    room_.notify_all();
  }

 private:
  std::size_t const count_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable ready_;
  std::size_t next_ = 0;
  std::size_t visited_ = 0;
  bool stopped_ = false;
  std::map<std::size_t, Batch> results_;
};

/// Also when the visitor throws, the threads end.
class StopAtEnd {
 public:
  explicit StopAtEnd(Queue& queue) : queue_(queue) {}
  StopAtEnd(StopAtEnd const&) = delete;
  StopAtEnd& operator=(StopAtEnd const&) = delete;
  ~StopAtEnd() { queue_.stop(); }

 private:
  Queue& queue_;
};

}  // namespace

Status read_in_order(std::size_t count,
                     std::function<std::optional<RepoScan>(std::size_t)> const& read,
                     std::function<Status(RepoScan&&)> const& visit) {
  std::size_t const cores = std::thread::hardware_concurrency();
  std::size_t const threads = count < kWorthThreads ? 0 : std::min(cores, kMaxThreads);
  if (threads < 2) {
    for (std::size_t i = 0; i < count; ++i) {
      if (auto scan = read(i)) RETURN_IF_ERROR(visit(std::move(*scan)));
    }
    return {};
  }
  std::size_t const batches = (count + kBatch - 1) / kBatch;
  auto const read_batch = [&](std::size_t number) {
    Batch batch;
    std::size_t const end = std::min(count, (number + 1) * kBatch);
    for (std::size_t i = number * kBatch; i < end; ++i) batch.push_back(read(i));
    return batch;
  };
  Queue queue(batches);
  std::vector<std::jthread> readers;
  readers.reserve(threads);
  StopAtEnd const at_end(queue);
  for (std::size_t i = 0; i < threads; ++i) {
    readers.emplace_back([&] {
      while (auto const number = queue.next()) queue.put(*number, read_batch(*number));
    });
  }
  for (std::size_t i = 0; i < batches; ++i) {
    for (auto& scan : queue.take(i))
      if (scan) RETURN_IF_ERROR(visit(std::move(*scan)));
  }
  return {};
}

}  // namespace homelab::cache::scan
