#include "http/local_client.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <mutex>

#include "io_loops.h"
#include "later_reply.h"
#include "message_parser.h"
#include "text_rules.h"

namespace homelab::http {
namespace {

using asio::local::stream_protocol;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 16UL * 1024;

Result<std::string> request_bytes(LocalRequest const& request) {
  if (!is_token(request.method) || !is_field_value(request.target) ||
      !request.target.starts_with('/') || request.target.find(' ') != std::string::npos)
    return fail(Code::kInvalidArgument,
                "the request to a local engine has no valid method or path");
  std::string out = fmt::format("{} {} HTTP/1.1\r\n", request.method, request.target);
  if (!request.headers.find("host")) out += "Host: localhost\r\n";
  for (auto const& [name, value] : request.headers.fields()) {
    if (!is_token(name) || !is_field_value(value))
      return fail(Code::kInvalidArgument, "header field " + name + " cannot be sent");
    if (equals_without_case(name, "content-length") || equals_without_case(name, "connection"))
      continue;
    out.append(name).append(": ").append(value).append("\r\n");
  }
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD"))
    out += fmt::format("Content-Length: {}\r\n", request.body.size());
  return out.append("Connection: close\r\n\r\n").append(request.body);
}

/// One request on one connection. Kept alive by its own pending operations; runs on one loop.
class Exchange final : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(asio::io_context& io, LocalRequest request, LocalCallbacks callbacks)
      : io_(io),
        socket_(io),
        idle_timer_(io),
        request_(std::move(request)),
        callbacks_(std::move(callbacks)),
        parser_(request_.method == "HEAD", [this](std::string_view bytes) { give(bytes); }) {}
  /// Only without finish() before when the loops end while it runs.
  ~Exchange() { finish(fail(Code::kCancelled, "the program ends")); }
  Exchange(Exchange const&) = delete;
  Exchange& operator=(Exchange const&) = delete;

  void begin();
  void cancel() {
    cancelled_ = true;
    asio::post(io_, [self = shared_from_this()] { self->finish_cancelled(); });
  }

 private:
  void connected(error_code error);
  void send();
  void read();
  void parse();
  void give(std::string_view bytes);
  void watch_idle();
  void finish(Status status);
  void finish_cancelled() { finish(fail(Code::kCancelled, "the request was cancelled")); }

  asio::io_context& io_;
  stream_protocol::socket socket_;
  asio::steady_timer idle_timer_;
  Clock::time_point last_byte_;
  LocalRequest request_;
  LocalCallbacks callbacks_;
  ResponseParser parser_;
  std::string out_;
  std::size_t sent_ = 0;
  std::string in_;
  bool head_given_ = false;
  bool done_ = false;
  std::atomic<bool> cancelled_{false};
};

void Exchange::begin() {
  if (cancelled_) return finish_cancelled();
  if (request_.socket_path.empty() ||
      request_.socket_path.size() >= sizeof(sockaddr_un::sun_path)) {
    return finish(fail(Code::kInvalidArgument,
                       fmt::format("'{}' cannot be the path of a Unix socket: 1 to {} bytes",
                                   request_.socket_path, sizeof(sockaddr_un::sun_path) - 1)));
  }
  auto bytes = request_bytes(request_);
  if (!bytes) return finish(fail(std::move(bytes).error()));
  out_ = std::move(*bytes);
  request_.body = {};
  last_byte_ = Clock::now();
  watch_idle();
  socket_.async_connect(stream_protocol::endpoint(request_.socket_path),
                        [self = shared_from_this()](error_code error) { self->connected(error); });
}

void Exchange::connected(error_code error) {
  if (done_) return;
  if (!error) socket_.non_blocking(true, error);
  if (error) {
    return finish(fail(Code::kUnavailable, fmt::format("no connection to {}: {}",
                                                       request_.socket_path, error.message())));
  }
  send();
}

void Exchange::send() {
  while (!done_ && sent_ < out_.size()) {
    error_code error;
    sent_ += socket_.write_some(asio::buffer(out_.data() + sent_, out_.size() - sent_), error);
    if (error == asio::error::would_block || error == asio::error::try_again) {
      socket_.async_wait(stream_protocol::socket::wait_write,
                         [self = shared_from_this()](error_code) { self->send(); });
      return;
    }
    if (error) break;  // the engine may have refused the request early: its answer says why
    last_byte_ = Clock::now();
  }
  if (done_) return;
  out_ = {};
  read();
}

void Exchange::read() {
  while (!done_) {
    std::size_t const before = in_.size();
    in_.resize(before + kReadBytes);
    error_code error;
    std::size_t const count =
        socket_.read_some(asio::buffer(in_.data() + before, kReadBytes), error);
    in_.resize(before + count);
    if (error == asio::error::would_block || error == asio::error::try_again) {
      socket_.async_wait(stream_protocol::socket::wait_read,
                         [self = shared_from_this()](error_code) { self->read(); });
      return;
    }
    if (error) {
      Status const status = parser_.end_of_input();
      finish(status ? Status{} : fail(Error(status.error()).in(request_.socket_path)));
      return;
    }
    last_byte_ = Clock::now();
    parse();
  }
}

void Exchange::parse() {
  std::size_t at = 0;
  while (!done_ && !cancelled_ && !parser_.done()) {
    auto const used = parser_.parse(std::string_view(in_).substr(at));
    if (!used) return finish(fail(Error(used.error()).in(request_.socket_path)));
    at += *used;
    if (parser_.head_done() && !std::exchange(head_given_, true) && callbacks_.on_head) {
      (void)call_contained("a head callback",
                           [&] { callbacks_.on_head(parser_.status(), parser_.headers()); });
    }
    if (*used == 0) break;
  }
  in_.erase(0, at);
  if (cancelled_) return finish_cancelled();
  if (parser_.done()) return finish({});
  if (in_.size() > 4 * kReadBytes)
    finish(fail(Code::kDataLoss, request_.socket_path + ": a chunk header without end"));
}

void Exchange::give(std::string_view bytes) {
  if (cancelled_ || !callbacks_.on_data) return;
  (void)call_contained("a data callback", [&] { callbacks_.on_data(bytes); });
}

void Exchange::watch_idle() {
  idle_timer_.expires_at(last_byte_ + request_.idle_timeout);
  idle_timer_.async_wait([weak = weak_from_this()](error_code error) {
    auto const self = weak.lock();
    if (error || !self || self->done_) return;
    if (Clock::now() < self->last_byte_ + self->request_.idle_timeout) return self->watch_idle();
    self->finish(fail(Code::kDeadlineExceeded,
                      fmt::format("{}: no byte for {} ms", self->request_.socket_path,
                                  self->request_.idle_timeout.count())));
  });
}

void Exchange::finish(Status status) {
  if (std::exchange(done_, true)) return;
  error_code ignored;
  socket_.close(ignored);
  idle_timer_.cancel();
  LocalCallbacks const callbacks = std::exchange(callbacks_, {});
  if (callbacks.on_done)
    (void)call_contained("a done callback", [&] { callbacks.on_done(std::move(status)); });
}

/// What the caller holds. Weak, so that it may outlive the loops.
class ExchangeHandle final : public LocalExchange {
 public:
  explicit ExchangeHandle(std::shared_ptr<Exchange> const& exchange) : exchange_(exchange) {}
  void cancel() override {
    if (auto const exchange = exchange_.lock()) exchange->cancel();
  }

 private:
  std::weak_ptr<Exchange> exchange_;
};

struct Collected {
  std::mutex mutex;
  std::condition_variable changed;
  LocalResponse response;
  bool too_large = false;
  bool done = false;
  Status status;
};

}  // namespace

std::shared_ptr<LocalExchange> start_local(IoLoops& loops, LocalRequest request,
                                           LocalCallbacks callbacks) {
  asio::io_context& io = loops.impl().here_or_next();
  auto const exchange = std::make_shared<Exchange>(io, std::move(request), std::move(callbacks));
  asio::post(io, [exchange] { exchange->begin(); });
  return std::make_shared<ExchangeHandle>(exchange);
}

Result<LocalResponse> fetch_local(IoLoops& loops, LocalRequest request, std::size_t limit_bytes) {
  if (loops.impl().on_a_loop())
    return fail(Code::kInternal, "a blocking request on an I/O loop would never end");
  auto const collected = std::make_shared<Collected>();
  LocalCallbacks callbacks;
  callbacks.on_head = [collected](int status, Headers const&) {
    collected->response.status = status;
  };
  callbacks.on_data = [collected, limit_bytes](std::string_view bytes) {
    // The rest is read and dropped; the idle limit still holds.
    collected->too_large |= bytes.size() > limit_bytes - collected->response.body.size();
    if (!collected->too_large) collected->response.body.append(bytes);
  };
  callbacks.on_done = [collected](Status status) {
    std::lock_guard const guard(collected->mutex);
    collected->status = std::move(status);
    collected->done = true;
    collected->changed.notify_all();
  };
  std::string const path = request.socket_path;
  auto const exchange = start_local(loops, std::move(request), std::move(callbacks));
  std::unique_lock lock(collected->mutex);
  collected->changed.wait(lock, [&] { return collected->done; });
  if (collected->too_large) {
    return fail(Code::kResourceExhausted,
                fmt::format("{}: the answer is larger than {} bytes", path, limit_bytes));
  }
  if (!collected->status) return fail(std::move(collected->status).error());
  return std::move(collected->response);
}

}  // namespace homelab::http
