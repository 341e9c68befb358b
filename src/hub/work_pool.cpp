#include "work_pool.h"

namespace homelab::hub {

WorkPool::WorkPool(std::size_t threads) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

WorkPool::~WorkPool() {
  {
    std::lock_guard const guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void WorkPool::post(std::function<void()> task) {
  // Told under the lock: the task may be the last one, after which its owner may destroy this pool.
  std::lock_guard const guard(mutex_);
  tasks_.push_back(std::move(task));
  changed_.notify_one();
}

void WorkPool::run() {
  std::unique_lock guard(mutex_);
  for (;;) {
    changed_.wait(guard, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    guard.unlock();
    task();
    guard.lock();
  }
}

std::unique_ptr<Chunk> ChunkPool::take(std::function<void()> when_free) {
  std::lock_guard const guard(mutex_);
  if (!free_.empty()) {
    auto chunk = std::move(free_.back());
    free_.pop_back();
    return chunk;
  }
  if (made_ < limit_) {
    ++made_;
    return std::make_unique<Chunk>(kChunkBytes);
  }
  waiting_.push_back(std::move(when_free));
  return nullptr;
}

void ChunkPool::give_back(std::unique_ptr<Chunk> chunk) {
  chunk->used_bytes = 0;
  std::vector<std::function<void()>> waiting;
  {
    std::lock_guard const guard(mutex_);
    free_.push_back(std::move(chunk));
    waiting.swap(waiting_);
  }
  for (auto const& call : waiting) call();
}

}  // namespace homelab::hub
