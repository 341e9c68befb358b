#pragma once
// A stream whose source starts before its connection is ready for it.
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "http/message.h"

namespace homelab::api {

/// Pieces written before the channel is there wait in a bounded queue; order is kept. Thread-safe.
class LateStream : public std::enable_shared_from_this<LateStream> {
 public:
  /// `on_gone` is called (once or more, on any thread) when the client has left or cannot keep up.
  explicit LateStream(std::function<void()> on_gone) : on_gone_(std::move(on_gone)) {}

  void write(std::string bytes);
  /// A comment or event of ours in somebody else's stream of events: dropped when what was written
  /// last did not end an event, because it would become a part of that one.
  void write_between(std::string event);
  /// See http::StreamChannel::close.
  void close(bool ok);
  /// Answers with this stream as server-sent events, which no proxy is to hold back.
  [[nodiscard]] http::StreamReply events_reply();
  /// What a StreamReply's `start` is to be.
  [[nodiscard]] std::function<void(std::shared_ptr<http::StreamChannel>)> starter();

 private:
  static constexpr std::size_t kWaitingLimitBytes = 4U << 20U;

  void attach(std::shared_ptr<http::StreamChannel> const& channel);
  void queue(std::string bytes, bool only_between);
  void drain();

  std::function<void()> on_gone_;
  std::mutex mutex_;
  std::shared_ptr<http::StreamChannel> channel_;
  std::deque<std::string> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::string last_two_ = "\n\n";  // bytes of what was written; nothing yet is between events, too
  bool draining_ = false;
  bool closing_ = false;
  bool close_ok_ = true;
  bool ended_ = false;
};

}  // namespace homelab::api
