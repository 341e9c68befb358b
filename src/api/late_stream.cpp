#include "late_stream.h"

#include <utility>

namespace homelab::api {

void LateStream::write(std::string bytes) { queue(std::move(bytes), false); }

void LateStream::write_between(std::string event) { queue(std::move(event), true); }

void LateStream::queue(std::string bytes, bool only_between) {
  bool too_much = false;
  {
    std::lock_guard const lock(mutex_);
    if (ended_ || closing_) return;
    if (only_between && last_two_ != "\n\n") return;
    last_two_.append(bytes, bytes.size() < 2 ? 0 : bytes.size() - 2);
    last_two_.erase(0, last_two_.size() - 2);
    waiting_bytes_ += bytes.size();
    waiting_.push_back(std::move(bytes));
    too_much = waiting_bytes_ > kWaitingLimitBytes;
    if (too_much) {
      closing_ = true;
      close_ok_ = false;
    }
  }
  if (too_much && on_gone_) on_gone_();
  drain();
}

void LateStream::close(bool ok) {
  {
    std::lock_guard const lock(mutex_);
    if (ended_ || closing_) return;
    closing_ = true;
    close_ok_ = ok;
  }
  drain();
}

http::StreamReply LateStream::events_reply() {
  http::StreamReply reply;
  reply.headers.set("content-type", "text/event-stream; charset=utf-8");
  reply.headers.set("cache-control", "no-cache");
  reply.headers.set("connection", "keep-alive");
  reply.headers.set("x-accel-buffering", "no");
  reply.start = starter();
  return reply;
}

std::function<void(std::shared_ptr<http::StreamChannel>)> LateStream::starter() {
  return [self = shared_from_this()](std::shared_ptr<http::StreamChannel> const& channel) {
    self->attach(channel);
  };
}

void LateStream::attach(std::shared_ptr<http::StreamChannel> const& channel) {
  {
    std::lock_guard const lock(mutex_);
    channel_ = channel;
  }
  if (on_gone_) channel->on_client_gone(on_gone_);
  drain();
}

// One thread at a time takes pieces off the queue and writes them without the lock: a write may end
// in on_gone_, which may call back into this object.
void LateStream::drain() {
  std::unique_lock lock(mutex_);
  if (draining_ || !channel_ || ended_) return;
  draining_ = true;
  auto const channel = channel_;
  while (!waiting_.empty() && !ended_) {
    std::string piece = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= piece.size();
    lock.unlock();
    bool const sent = channel->write(std::move(piece));
    if (!sent && on_gone_) on_gone_();
    lock.lock();
    if (!sent) {
      waiting_.clear();
      waiting_bytes_ = 0;
      closing_ = true;
      close_ok_ = false;
    }
  }
  draining_ = false;
  if (!closing_ || ended_) return;
  ended_ = true;
  channel_ = nullptr;
  bool const ok = close_ok_;
  lock.unlock();
  channel->close(ok);
}

}  // namespace homelab::api
