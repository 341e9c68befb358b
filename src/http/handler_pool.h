#pragma once
// A fixed number of threads and a bounded queue: where route handlers run.
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace homelab::http {

/// Thread-safe.
class HandlerPool {
 public:
  HandlerPool(std::size_t threads, std::size_t queue_bound);
  ~HandlerPool() { stop(); }
  HandlerPool(HandlerPool const&) = delete;
  HandlerPool& operator=(HandlerPool const&) = delete;

  /// False when the queue is full or the pool stops; the job is then not run. Jobs must not throw.
  [[nodiscard]] bool submit(std::function<void()> job);
  /// Drops what has not begun, waits for what runs, joins the threads.
  void stop();

 private:
  void run();

  std::size_t const queue_bound_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;  // guarded by mutex_
  bool stopping_ = false;                   // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace homelab::http
