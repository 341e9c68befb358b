#include "sink.h"

#include <algorithm>
#include <cstring>

namespace homelab::hub {
namespace {
constexpr std::chrono::milliseconds kLongestInMemory{500};
}

Sink::Flow MemorySink::accept(std::span<std::byte const> bytes, std::function<void()> const&) {
  if (content_.size() + bytes.size() > limit_bytes_) {
    overflow_ = fail(Code::kDataLoss, "more bytes came than the listing says");
    return Flow::kAbort;
  }
  // The bytes are text for std::string only; nothing looks at them as characters.
  content_.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
  return Flow::kContinue;
}

DiskSink::DiskSink(cache::PartialBlob partial, std::shared_ptr<ChunkPool> chunks, WorkPool& workers)
    : partial_(std::move(partial)), chunks_(std::move(chunks)), workers_(workers) {}

DiskSink::~DiskSink() {
  if (filling_) chunks_->give_back(std::move(filling_));
}

void DiskSink::start_over() {
  if (filling_) filling_->used_bytes = 0;
  Step step;
  step.start_over = true;
  enqueue(std::move(step));
}

Sink::Flow DiskSink::accept(std::span<std::byte const> bytes, std::function<void()> const& resume) {
  {
    std::lock_guard const guard(mutex_);
    if (!failed_) return Flow::kAbort;
  }
  // All or nothing: what does not fit the chunk being filled needs whole new ones first.
  std::size_t const room = filling_ ? filling_->room_bytes() : 0;
  std::vector<std::unique_ptr<Chunk>> more;
  for (std::size_t have = room; have < bytes.size(); have += ChunkPool::kChunkBytes) {
    auto chunk = chunks_->take(resume);
    if (!chunk) {
      for (auto& taken : more) chunks_->give_back(std::move(taken));
      // A waiting file must not sit on a half-full chunk that others wait for.
      if (filling_ && filling_->used_bytes > 0) enqueue(Step{false, std::move(filling_), {}});
      return Flow::kPause;
    }
    more.push_back(std::move(chunk));
  }
  auto next = more.begin();
  while (!bytes.empty()) {
    if (!filling_) filling_ = std::move(*next++);
    std::size_t const count = std::min(filling_->room_bytes(), bytes.size());
    std::memcpy(filling_->bytes.get() + filling_->used_bytes, bytes.data(), count);
    filling_->used_bytes += count;
    bytes = bytes.subspan(count);
    if (filling_->room_bytes() == 0) enqueue(Step{false, std::move(filling_), {}});
  }
  // On a slow link a chunk would take long to fill, and what is in memory is lost by a kill.
  auto const now = std::chrono::steady_clock::now();
  if (filling_ && now - last_handed_on_ > kLongestInMemory)
    enqueue(Step{false, std::move(filling_), {}});
  if (!filling_) last_handed_on_ = now;
  return Flow::kContinue;
}

void DiskSink::finish(std::function<void(Status)> settled) {
  if (filling_) enqueue(Step{false, std::move(filling_), {}});
  enqueue(Step{false, nullptr, std::move(settled)});
}

void DiskSink::enqueue(Step step) {
  {
    std::lock_guard const guard(mutex_);
    steps_.push_back(std::move(step));
    if (working_) return;
    working_ = true;
  }
  workers_.post([self = shared_from_this()] { self->work(); });
}

void DiskSink::work() {
  // A few steps per turn, so that one fast file does not keep a worker from the others.
  for (int turn = 0; turn < 8; ++turn) {
    Step step;
    {
      std::lock_guard const guard(mutex_);
      if (steps_.empty()) {
        working_ = false;
        return;
      }
      step = std::move(steps_.front());
      steps_.pop_front();
    }
    apply(step);
  }
  workers_.post([self = shared_from_this()] { self->work(); });
}

void DiskSink::apply(Step& step) {
  Status status = [this] {
    std::lock_guard const guard(mutex_);
    return failed_;
  }();
  if (status && step.start_over) status = partial_.restart();
  if (status && step.chunk) status = partial_.append(step.chunk->content());
  if (step.chunk) chunks_->give_back(std::move(step.chunk));
  {
    std::lock_guard const guard(mutex_);
    failed_ = step.settled ? Status() : status;  // the next attempt starts without the old error
  }
  if (step.settled) step.settled(status);
}

}  // namespace homelab::hub
