#pragma once
// One client connection: a state machine that lives on one I/O loop. Every function runs on that
// loop's thread.
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "head_writer.h"
#include "http/message.h"
#include "http/router.h"
#include "later_reply.h"
#include "message_parser.h"
#include "server_core.h"

namespace homelab::http {

/// {"detail": "..."}: the form of all errors that the server itself finds.
[[nodiscard]] Response detail_response(int status, std::string const& detail);

/// request head -> body -> handler (on the pool) -> answer -> next request, or linger and close.
///
/// drive() does steps until one has to wait. While a handler's answer is outstanding or a stream
/// runs, the socket is watched for the peer's end; bytes of a pipelined request are kept for later.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerCore> core, std::shared_ptr<LoopSlot> slot,
             asio::ip::tcp::socket socket);
  Connection(Connection const&) = delete;
  Connection& operator=(Connection const&) = delete;

  void start();
  /// Closes what has waited too long.
  void check_deadline(std::chrono::steady_clock::time_point now);
  /// The server stops: close when idle, else after the running answer.
  void begin_stop();
  void close();

 private:
  enum class Phase { kReadHead, kReadBody, kHandle, kWrite, kStream, kFile, kLinger, kClosed };
  enum class Next { kAgain, kWaitRead, kWaitWrite, kWaitEvent };
  enum class Io { kDone, kBlocked, kFailed };

  void drive();
  [[nodiscard]] Next step();
  void wait_read();
  void wait_write();
  void watch_peer();
  void peer_left();
  void limit_time(std::chrono::seconds limit);
  void no_time_limit();

  // connection_read.cpp
  [[nodiscard]] Next read_head();
  [[nodiscard]] Next begin_request(std::size_t head_bytes);
  [[nodiscard]] Next read_body();
  [[nodiscard]] Next linger();
  [[nodiscard]] Next dispatch();
  [[nodiscard]] bool fill_request();
  /// False: the doorman answered instead.
  [[nodiscard]] bool enter(bool has_body);
  [[nodiscard]] Response unrouted(std::vector<std::string> const& allowed) const;
  [[nodiscard]] Io receive(std::size_t at_most);
  void prepare_next_request();

  // connection_reply.cpp
  void run_handler();
  void on_reply(Reply reply);
  void refuse(Refusal const& refusal);
  void begin_response(Response response);
  void begin_file(FileReply reply);
  void begin_stream(StreamReply reply);
  void begin_pending(PendingReply reply);
  void queue_head(int status, Headers headers, Framing framing);
  [[nodiscard]] bool is_head_request() const { return request_.method == "HEAD"; }
  [[nodiscard]] Io flush();
  /// Writes what it can; the next step while something is left, nothing when all is written.
  [[nodiscard]] std::optional<Next> unflushed();
  [[nodiscard]] Next write_rest();
  [[nodiscard]] Next stream_step();
  [[nodiscard]] Next file_step();
  /// As much of the file as one turn allows.
  [[nodiscard]] Next send_file_part();
  [[nodiscard]] Next answer_done();
  void cut();

  std::shared_ptr<ServerCore> core_;
  std::shared_ptr<LoopSlot> slot_;
  asio::ip::tcp::socket socket_;
  std::string remote_;
  Phase phase_ = Phase::kReadHead;
  bool read_armed_ = false;
  bool write_armed_ = false;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();

  std::string in_;           // received, not yet consumed
  std::size_t scanned_ = 0;  // how far in_ was searched for the end of a head
  bool head_begun_ = false;
  std::optional<RequestParser> parser_;
  Request request_;  // the pool reads it while phase_ is kHandle
  Router::Match match_;
  int minor_version_ = 1;
  bool keep_alive_ = true;
  bool unread_input_ = false;  // the request was refused before its end was seen
  std::size_t discarded_bytes_ = 0;
  std::size_t next_extension_bytes_ = 0;  // body size at which the body gets more time

  std::string out_;  // head and small pieces
  std::size_t out_sent_ = 0;
  std::string body_;  // a response's body, sent after out_
  std::size_t body_sent_ = 0;
  std::shared_ptr<StreamState> stream_;
  std::function<void(std::shared_ptr<StreamChannel>)> stream_start_;
  bool chunked_ = true;
  bool stream_end_queued_ = false;
  std::shared_ptr<PendingState> pending_;
  os::UniqueFd file_;
  std::uint64_t file_at_ = 0;
  std::uint64_t file_left_ = 0;
};

}  // namespace homelab::http
