#pragma once
// The shared state behind StreamChannel and Pending: written from any thread, read by the
// connection on its loop. Free of sockets: the connection gives functions that wake it up.
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "http/message.h"

namespace homelab::http {

/// "The client has left" as a callback that runs once, on whichever side comes second. Thread-safe.
class GoneSignal {
 public:
  /// Runs `callback` now if the client has already left, else when it leaves. Dropped after
  /// settle().
  void on_gone(std::function<void()> callback);
  /// The client has left. False if the answer was settled before.
  bool raise();
  /// The answer is complete: nobody needs to know any more.
  void settle();
  [[nodiscard]] bool raised() const;

 private:
  enum class State { kOpen, kGone, kSettled };
  mutable std::mutex mutex_;
  State state_ = State::kOpen;
  std::vector<std::function<void()>> callbacks_;
};

/// Bytes between a writer and one connection. Thread-safe.
class StreamState {
 public:
  /// `wake` is called under the lock, from the writer's thread: it may only post.
  StreamState(std::size_t bound_bytes, std::function<void()> wake);

  // Writer's side (see StreamChannel):
  bool write(std::string bytes);
  void close(bool ok);
  GoneSignal& gone() { return gone_; }

  // Connection's side:
  enum class End { kNotYet, kProper, kBroken };
  /// Moves what is queued into `out` (as one chunk if `chunked`). What was taken counts until
  /// sent().
  End take(std::string& out, bool chunked);
  /// The writer has given the body up: what waits is not worth waiting for a slow client.
  bool broken();
  /// All that was taken is in the kernel.
  void sent();
  /// No more reader. Calls the writer's callback unless it had closed.
  void client_left();

 private:
  std::size_t const bound_bytes_;
  std::function<void()> const wake_;
  GoneSignal gone_;
  std::mutex mutex_;
  std::string queued_;  // all below: guarded by mutex_
  std::size_t in_flight_bytes_ = 0;
  bool wake_sent_ = false;
  bool reader_gone_ = false;
  End end_ = End::kNotYet;
};

/// A channel for the writer; when its last owner lets go without close(), the body counts as
/// broken.
[[nodiscard]] std::shared_ptr<StreamChannel> make_channel(std::shared_ptr<StreamState> state);
/// A channel whose client has left already.
[[nodiscard]] std::shared_ptr<StreamChannel> make_dead_channel();

/// The one answer that comes later. Thread-safe.
class PendingState {
 public:
  /// `deliver` is called under the lock, at most once, from the completing thread: it may only
  /// post.
  explicit PendingState(std::function<void(Reply)> deliver);

  void complete(Reply reply);
  GoneSignal& gone() { return gone_; }
  void client_left();

 private:
  GoneSignal gone_;
  std::mutex mutex_;
  std::function<void(Reply)>
      deliver_;  // guarded by mutex_; empty when used or when the client has left
};

/// A pending answer; when its last owner lets go without complete(), the client gets status 500.
[[nodiscard]] std::shared_ptr<Pending> make_pending(std::shared_ptr<PendingState> state);
/// A pending answer whose client has left already.
[[nodiscard]] std::shared_ptr<Pending> make_dead_pending();

/// Status 500, plain text: what a client sees of a bug of ours.
[[nodiscard]] Response internal_error();
/// Calls a function of the program; what it throws is logged and gives false.
[[nodiscard]] bool call_contained(char const* what, std::function<void()> const& function);

}  // namespace homelab::http
