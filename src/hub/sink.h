#pragma once
// Where the bytes of one file go while they arrive.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"
#include "cache/blob_writer.h"
#include "http/client.h"
#include "work_pool.h"

namespace homelab::hub {

/// Used on the transfer thread between the head and the end of an attempt; by its owner between
/// attempts.
class Sink {
 public:
  using Flow = http::TransferCallbacks::Flow;
  virtual ~Sink() = default;

  /// Bytes kept so far; the next attempt asks from here. Only between attempts.
  [[nodiscard]] virtual std::uint64_t kept_bytes() const = 0;
  /// Throws away what was kept, before the next bytes.
  virtual void start_over() = 0;
  /// Takes all of `bytes`, or none (kPause; `resume` is called from another thread when there is
  /// room again).
  virtual Flow accept(std::span<std::byte const> bytes, std::function<void()> const& resume) = 0;
  /// No more bytes in this attempt. `settled` is called once, on any thread, when all that was
  /// accepted is kept.
  virtual void finish(std::function<void(Status)> settled) = 0;
};

/// Small files stay in memory until a batch of them is written at once.
class MemorySink : public Sink {
 public:
  explicit MemorySink(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}
  [[nodiscard]] std::uint64_t kept_bytes() const override { return content_.size(); }
  void start_over() override { content_.clear(); }
  Flow accept(std::span<std::byte const> bytes, std::function<void()> const& resume) override;
  void finish(std::function<void(Status)> settled) override {
    settled(std::exchange(overflow_, {}));
  }
  [[nodiscard]] std::string take() { return std::move(content_); }

 private:
  std::size_t limit_bytes_;
  std::string content_;
  Status overflow_;
};

/// The transfer thread only copies; a worker thread hashes and writes, in order.
class DiskSink : public Sink, public std::enable_shared_from_this<DiskSink> {
 public:
  DiskSink(cache::PartialBlob partial, std::shared_ptr<ChunkPool> chunks, WorkPool& workers);
  ~DiskSink() override;

  [[nodiscard]] std::uint64_t kept_bytes() const override { return partial_.written_bytes(); }
  void start_over() override;
  Flow accept(std::span<std::byte const> bytes, std::function<void()> const& resume) override;
  void finish(std::function<void(Status)> settled) override;
  /// After finish() has settled: hands the partial over for the commit.
  [[nodiscard]] cache::PartialBlob take() { return std::move(partial_); }

 private:
  struct Step {
    bool start_over = false;
    std::unique_ptr<Chunk> chunk;
    std::function<void(Status)> settled;
  };
  void enqueue(Step step);
  void work();
  void apply(Step& step);

  cache::PartialBlob partial_;  ///< touched by one worker at a time, by the owner between attempts
  std::shared_ptr<ChunkPool> chunks_;
  WorkPool& workers_;
  // Transfer thread only.
  std::unique_ptr<Chunk> filling_;
  std::chrono::steady_clock::time_point last_handed_on_{};

  std::mutex mutex_;
  std::deque<Step> steps_;
  bool working_ = false;
  Status failed_;
};

}  // namespace homelab::hub
