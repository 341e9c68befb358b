#include "handler_pool.h"

#include <algorithm>

namespace homelab::http {

HandlerPool::HandlerPool(std::size_t threads, std::size_t queue_bound) : queue_bound_(queue_bound) {
  for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i)
    threads_.emplace_back([this] { run(); });
}

bool HandlerPool::submit(std::function<void()> job) {
  {
    std::lock_guard const guard(mutex_);
    if (stopping_ || jobs_.size() >= queue_bound_) return false;
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

void HandlerPool::stop() {
  std::deque<std::function<void()>> dropped;
  {
    std::lock_guard const guard(mutex_);
    stopping_ = true;
    dropped.swap(jobs_);
  }
  changed_.notify_all();
  for (auto& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void HandlerPool::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what it owns must go before this thread sleeps
    lock.lock();
  }
}

}  // namespace homelab::http
