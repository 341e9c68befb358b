#include "performance_writer.h"

#include <algorithm>
#include <iterator>

#include "base/log.h"

namespace homelab::registry {
namespace {
constexpr std::size_t kMaxBatch = 256;
constexpr int kTries = 3;
constexpr std::chrono::hours kUpkeepPause{1};
constexpr std::size_t kRowsBetweenUpkeep = 256;
}  // namespace

PerformanceWriter::PerformanceWriter(Write write, std::chrono::milliseconds retry_pause,
                                     Upkeep upkeep)
    : write_(std::move(write)),
      retry_pause_(retry_pause),
      upkeep_(std::move(upkeep)),
      next_upkeep_(std::chrono::steady_clock::now()),
      thread_([this] { run(); }) {}

PerformanceWriter::~PerformanceWriter() {
  {
    std::lock_guard const guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void PerformanceWriter::push(PerformanceRow row) {
  {
    std::lock_guard const guard(mutex_);
    if (queue_.size() >= kMaxQueued) {
      ++dropped_;
      return;
    }
    queue_.push_back(std::move(row));
    ++pushed_;
  }
  changed_.notify_all();
}

void PerformanceWriter::flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this, target = pushed_] { return finished_ >= target; });
}

void PerformanceWriter::run() {
  std::unique_lock lock(mutex_);
  auto const wanted = [this] { return stopping_ || !queue_.empty(); };
  while (true) {
    if (upkeep_) {
      changed_.wait_until(lock, next_upkeep_, wanted);
    } else {
      changed_.wait(lock, wanted);
    }
    if (!queue_.empty()) {
      write_queued(lock);
    } else if (stopping_) {
      return;
    } else {
      do_upkeep(lock);
    }
  }
}

void PerformanceWriter::write_queued(std::unique_lock<std::mutex>& lock) {
  auto const count = static_cast<std::ptrdiff_t>(std::min(queue_.size(), kMaxBatch));
  std::vector<PerformanceRow> batch(std::make_move_iterator(queue_.begin()),
                                    std::make_move_iterator(queue_.begin() + count));
  queue_.erase(queue_.begin(), queue_.begin() + count);
  lock.unlock();
  write_batch(batch);
  lock.lock();
  finished_ += batch.size();
  changed_.notify_all();
  rows_since_upkeep_ += batch.size();
  if (rows_since_upkeep_ >= kRowsBetweenUpkeep) next_upkeep_ = std::chrono::steady_clock::now();
}

void PerformanceWriter::do_upkeep(std::unique_lock<std::mutex>& lock) {
  auto const now = std::chrono::steady_clock::now();
  if (now < next_upkeep_) return;  // woken for nothing
  rows_since_upkeep_ = 0;
  lock.unlock();
  bool const more = upkeep_();
  lock.lock();
  if (!more) next_upkeep_ = std::chrono::steady_clock::now() + kUpkeepPause;
}

void PerformanceWriter::write_batch(std::vector<PerformanceRow> const& batch) {
  for (int tried = 1;; ++tried) {
    Status const written = write_(batch);
    if (written) return;
    if (tried == kTries) {
      dropped_ += batch.size();
      logger("registry")
          ->error("{} performance rows could not be written: {}", batch.size(),
                  written.error().message);
      return;
    }
    std::this_thread::sleep_for(retry_pause_);
  }
}

}  // namespace homelab::registry
