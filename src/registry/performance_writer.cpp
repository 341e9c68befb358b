#include "performance_writer.h"

#include <algorithm>
#include <iterator>

#include "base/log.h"

namespace homelab::registry {
namespace {
constexpr std::size_t kMaxBatch = 256;
constexpr int kTries = 3;
}  // namespace

PerformanceWriter::PerformanceWriter(Write write, std::chrono::milliseconds retry_pause)
    : write_(std::move(write)), retry_pause_(retry_pause), thread_([this] { run(); }) {}

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
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    auto const count = static_cast<std::ptrdiff_t>(std::min(queue_.size(), kMaxBatch));
    std::vector<PerformanceRow> batch(std::make_move_iterator(queue_.begin()),
                                      std::make_move_iterator(queue_.begin() + count));
    queue_.erase(queue_.begin(), queue_.begin() + count);
    lock.unlock();
    write_batch(batch);
    lock.lock();
    finished_ += batch.size();
    changed_.notify_all();
  }
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
