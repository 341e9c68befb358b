#pragma once
// Threads that hash and write, and the bounded buffers between the network and them.
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

namespace homelab::hub {

/// A few threads that run tasks in the order given. The destructor runs what is queued, then joins.
class WorkPool {
 public:
  explicit WorkPool(std::size_t threads);
  ~WorkPool();
  WorkPool(WorkPool const&) = delete;
  WorkPool& operator=(WorkPool const&) = delete;

  void post(std::function<void()> task);  ///< thread-safe; tasks must not throw

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

/// A piece of a body on its way from the network to the disk.
struct Chunk {
  explicit Chunk(std::size_t capacity) : bytes(new std::byte[capacity]), capacity_bytes(capacity) {}
  std::unique_ptr<std::byte[]>
      bytes;  // NOLINT(modernize-avoid-c-arrays): left uninitialised on purpose
  std::size_t capacity_bytes;
  std::size_t used_bytes = 0;
  [[nodiscard]] std::size_t room_bytes() const { return capacity_bytes - used_bytes; }
  [[nodiscard]] std::span<std::byte const> content() const { return {bytes.get(), used_bytes}; }
};

/// At most `limit` chunks exist; they are recycled. Thread-safe.
class ChunkPool {
 public:
  static constexpr std::size_t kChunkBytes = 256U << 10U;

  explicit ChunkPool(std::size_t limit) : limit_(limit) {}

  /// nullptr when all are in use; then `when_free` is called once, from another thread, as soon as
  /// one comes back.
  [[nodiscard]] std::unique_ptr<Chunk> take(std::function<void()> when_free);
  void give_back(std::unique_ptr<Chunk> chunk);

 private:
  std::mutex mutex_;
  std::size_t limit_;
  std::size_t made_ = 0;
  std::vector<std::unique_ptr<Chunk>> free_;
  std::vector<std::function<void()>> waiting_;
};

}  // namespace homelab::hub
