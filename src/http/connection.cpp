#include "connection.h"

#include <sys/socket.h>

#include <boost/asio/post.hpp>

#include "base/log.h"

namespace homelab::http {

using Clock = std::chrono::steady_clock;
using boost::system::error_code;

Connection::Connection(std::shared_ptr<ServerCore> core, std::shared_ptr<LoopSlot> slot,
                       asio::ip::tcp::socket socket)
    : core_(std::move(core)), slot_(std::move(slot)), socket_(std::move(socket)) {}

void Connection::start() {
  error_code error;
  socket_.non_blocking(true, error);
  error_code ignored;  // without it only latency suffers
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  auto const peer = error ? asio::ip::tcp::endpoint() : socket_.remote_endpoint(error);
  if (error) {
    close();
    return;
  }
  std::string const address = peer.address().to_string();
  remote_ =
      (peer.address().is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(peer.port());
  limit_time(core_->options.header_timeout);
  if (core_->stopping) begin_stop();
  drive();
}

void Connection::drive() {
  while (phase_ != Phase::kClosed) {
    switch (step()) {
      case Next::kAgain:
        break;
      case Next::kWaitRead:
        wait_read();
        return;
      case Next::kWaitWrite:
        wait_write();
        return;
      case Next::kWaitEvent:
        return;
    }
  }
}

Connection::Next Connection::step() {
  switch (phase_) {
    case Phase::kReadHead:
      return read_head();
    case Phase::kReadBody:
      return read_body();
    case Phase::kHandle:
    case Phase::kClosed:
      return Next::kWaitEvent;
    case Phase::kWrite:
      return write_rest();
    case Phase::kStream:
      return stream_step();
    case Phase::kFile:
      return file_step();
    case Phase::kLinger:
      return linger();
  }
  return Next::kWaitEvent;
}

void Connection::wait_read() {
  if (read_armed_ || phase_ == Phase::kClosed) return;
  read_armed_ = true;
  socket_.async_wait(
      asio::ip::tcp::socket::wait_read, [self = shared_from_this()](error_code error) {
        self->read_armed_ = false;
        if (self->phase_ == Phase::kClosed) return;
        if (error) {
          self->close();
        } else if (self->phase_ == Phase::kHandle || self->phase_ == Phase::kStream) {
          self->watch_peer();
        } else {
          self->drive();
        }
      });
}

void Connection::wait_write() {
  if (write_armed_ || phase_ == Phase::kClosed) return;
  write_armed_ = true;
  socket_.async_wait(asio::ip::tcp::socket::wait_write,
                     [self = shared_from_this()](error_code error) {
                       self->write_armed_ = false;
                       if (self->phase_ == Phase::kClosed) return;
                       if (error) {
                         self->close();
                       } else {
                         self->drive();
                       }
                     });
}

void Connection::watch_peer() {
  // A client that talks on while it waits is pipelining; beyond the bound its bytes stay in the
  // kernel.
  while (in_.size() < core_->options.header_limit_bytes) {
    switch (receive(4096)) {
      case Io::kDone:
        break;
      case Io::kBlocked:
        wait_read();
        return;
      case Io::kFailed:
        close();
        return;
    }
  }
}

void Connection::limit_time(std::chrono::seconds limit) { deadline_ = Clock::now() + limit; }
void Connection::no_time_limit() { deadline_ = Clock::time_point::max(); }

void Connection::check_deadline(Clock::time_point now) {
  if (now < deadline_ || phase_ == Phase::kClosed) return;
  bool const reading = phase_ == Phase::kReadBody || (phase_ == Phase::kReadHead && head_begun_);
  if (!reading) {
    close();
    return;
  }
  refuse({408, "the request did not arrive in time"});
  drive();
}

void Connection::begin_stop() {
  keep_alive_ = false;
  if (phase_ == Phase::kReadHead && in_.empty()) close();
}

void Connection::cut() {
  // An abrupt end tells the client that the body is not complete, also where nothing else says so
  // (HTTP/1.0).
  error_code ignored;
  socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  close();
}

void Connection::close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  auto const self = shared_from_this();  // the slot may hold the last other reference
  error_code ignored;
  socket_.close(ignored);
  slot_->remove(self);
  auto const stream = std::exchange(stream_, nullptr);
  auto const pending = std::exchange(pending_, nullptr);
  auto const start = std::exchange(stream_start_, nullptr);
  if (start) (void)call_contained("the start of a stream", [&] { start(make_dead_channel()); });
  if (stream) stream->client_left();
  if (pending) pending->client_left();
  file_.reset();
  core_->connection_closed();
}

}  // namespace homelab::http
