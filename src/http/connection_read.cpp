// The half of a connection that reads requests.
#include <boost/asio/buffer.hpp>

#include "connection.h"
#include "target.h"
#include "text_rules.h"

namespace homelab::http {
namespace {

constexpr std::size_t kReadBytes = 4096;
constexpr std::size_t kBodyReadBytes = 64UL * 1024;
constexpr std::size_t kKeptBufferBytes = 16UL * 1024;
constexpr std::size_t kLingerBytes = 4UL * 1024 * 1024;
constexpr std::chrono::seconds kLingerTime{2};

}  // namespace

Connection::Io Connection::receive(std::size_t at_most) {
  std::size_t const before = in_.size();
  in_.resize(before + at_most);
  boost::system::error_code error;
  std::size_t const count = socket_.read_some(asio::buffer(in_.data() + before, at_most), error);
  in_.resize(before + count);
  if (error == asio::error::would_block || error == asio::error::try_again) return Io::kBlocked;
  return error ? Io::kFailed : Io::kDone;
}

Connection::Next Connection::read_head() {
  // Some clients send an empty line after a body (RFC 9112 §2.2).
  while (in_.starts_with("\r\n") && scanned_ <= 1) {
    in_.erase(0, 2);
    scanned_ = 0;
  }
  HeadSearch const search = find_end_of_head(in_, scanned_);
  std::size_t const limit = core_->options.header_limit_bytes;
  if (search.refusal) {
    refuse(*search.refusal);
    return Next::kAgain;
  }
  if (search.end.value_or(in_.size()) > limit) {
    refuse({431, "the request head is larger than " + std::to_string(limit) + " bytes"});
    return Next::kAgain;
  }
  if (search.end) return begin_request(*search.end);
  if (!in_.empty() && !head_begun_) {
    head_begun_ = true;
    limit_time(core_->options.header_timeout);
  }
  switch (receive(kReadBytes)) {
    case Io::kDone:
      return Next::kAgain;
    case Io::kBlocked:
      return Next::kWaitRead;
    case Io::kFailed:
      break;
  }
  close();
  return Next::kAgain;
}

Connection::Next Connection::begin_request(std::size_t head_bytes) {
  parser_.emplace();
  auto refusal = parser_->parse_head(std::string_view(in_).substr(0, head_bytes));
  in_.erase(0, head_bytes);
  scanned_ = 0;
  if (refusal) {
    refuse(*refusal);
    return Next::kAgain;
  }
  RequestHead& head = parser_->head();
  minor_version_ = head.minor_version;
  keep_alive_ = head.keep_alive && !core_->stopping;
  if (!fill_request()) return Next::kAgain;
  match_ = core_->router.match(request_.method, request_.path);
  request_.route = match_.pattern;
  request_.begun = std::chrono::steady_clock::now();
  if (!enter(head.has_body())) return Next::kAgain;
  if (!head.has_body()) return dispatch();

  if (refusal = parser_->begin_body(request_.body, match_.body_limit_bytes); refusal) {
    refuse(*refusal);
    return Next::kAgain;
  }
  if (head.expects_continue && in_.empty()) out_ = "HTTP/1.1 100 Continue\r\n\r\n";
  next_extension_bytes_ = kBodyReadBytes;
  phase_ = Phase::kReadBody;
  limit_time(core_->options.body_timeout);
  return Next::kAgain;
}

bool Connection::fill_request() {
  RequestHead& head = parser_->head();
  request_.method = std::move(head.method);
  request_.target = std::move(head.target);
  request_.headers = std::move(head.headers);
  request_.remote = remote_;
  auto const target = parse_target(request_.target);
  if (!target) {
    refuse({400, target.error().message});
    return false;
  }
  request_.path = target->path;
  request_.query = target->query;
  return true;
}

bool Connection::enter(bool has_body) {
  Router::Entry entry{internal_error(), nullptr};
  (void)call_contained("the doorman",
                       [&] { entry = core_->router.enter(request_, match_.pattern); });
  request_.visit = std::move(entry.visit);
  if (!entry.answer) return true;
  if (has_body) {  // it is not read, so where the next request would begin is not known
    keep_alive_ = false;
    unread_input_ = true;
  }
  parser_.reset();
  begin_response(*std::move(entry.answer));
  return false;
}

Connection::Next Connection::read_body() {
  if (auto const next = unflushed()) return *next;
  while (true) {
    std::size_t used = 0;
    if (auto refusal = parser_->parse_body(in_, used)) {
      refuse(*refusal);
      return Next::kAgain;
    }
    in_.erase(0, used);
    if (parser_->done()) return dispatch();
    // Time is given for every so many bytes, or a client could send one byte a minute for ever.
    if (request_.body.size() >= next_extension_bytes_) {
      next_extension_bytes_ = request_.body.size() + kBodyReadBytes;
      limit_time(core_->options.body_timeout);
    }
    if (in_.size() > core_->options.header_limit_bytes && used == 0) {
      refuse({400, "a chunk header or trailer of the request body is too large"});
      return Next::kAgain;
    }
    switch (receive(kBodyReadBytes)) {
      case Io::kDone:
        break;
      case Io::kBlocked:
        return Next::kWaitRead;
      case Io::kFailed:
        close();
        return Next::kAgain;
    }
  }
}

Connection::Next Connection::dispatch() {
  parser_.reset();
  if (match_.handler == nullptr) {
    Response response = internal_error();
    (void)call_contained("a not-found handler", [&] { response = unrouted(match_.allowed); });
    begin_response(std::move(response));
    return Next::kAgain;
  }
  request_.path_values = std::move(match_.path_values);
  phase_ = Phase::kHandle;
  no_time_limit();
  bool const taken = core_->pool->submit([self = shared_from_this()] { self->run_handler(); });
  if (taken) return Next::kWaitEvent;
  Response busy =
      detail_response(503, "The server has more requests than it can take; try again in a moment.");
  busy.headers.set("retry-after", "1");
  begin_response(std::move(busy));
  return Next::kAgain;
}

Response Connection::unrouted(std::vector<std::string> const& allowed) const {
  if (!allowed.empty()) return core_->router.not_allowed(request_, allowed);
  std::string_view path = request_.path;
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  // "//host" as a Location would lead to another server.
  if (path.size() < request_.path.size() && !path.starts_with("//")) {
    auto const without_slash = core_->router.match(request_.method, path);
    if (without_slash.handler != nullptr || !without_slash.allowed.empty()) {
      Response redirect;
      redirect.status = 307;
      std::string const query = request_.query.empty() ? "" : "?" + request_.query;
      redirect.headers.set("location", std::string(path) + query);
      return redirect;
    }
  }
  return core_->router.not_found(request_);
}

Connection::Next Connection::linger() {
  while (discarded_bytes_ < kLingerBytes) {
    in_.clear();
    switch (receive(kBodyReadBytes)) {
      case Io::kDone:
        discarded_bytes_ += in_.size();
        break;
      case Io::kBlocked:
        if (unread_input_ && !core_->stopping) return Next::kWaitRead;
        close();
        return Next::kAgain;
      case Io::kFailed:
        close();
        return Next::kAgain;
    }
  }
  close();
  return Next::kAgain;
}

Connection::Next Connection::answer_done() {
  if (phase_ == Phase::kClosed) return Next::kAgain;
  out_.clear();
  out_sent_ = 0;
  body_ = {};
  body_sent_ = 0;
  stream_ = nullptr;
  file_.reset();
  request_ = {};
  match_ = {};
  if (keep_alive_ && !core_->stopping) {
    prepare_next_request();
    // Hardly ever has the next request arrived already; asking the kernel first would cost a call
    // per request.
    return in_.empty() ? Next::kWaitRead : Next::kAgain;
  }
  // Closing at once would reset the connection while the client still sends, and the answer could
  // be lost with it.
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  phase_ = Phase::kLinger;
  limit_time(kLingerTime);
  return Next::kAgain;
}

void Connection::prepare_next_request() {
  phase_ = Phase::kReadHead;
  head_begun_ = false;
  scanned_ = 0;
  if (in_.empty() && in_.capacity() > kKeptBufferBytes) in_.shrink_to_fit();
  if (out_.capacity() > kKeptBufferBytes) out_.shrink_to_fit();
  limit_time(core_->options.idle_timeout);
}

}  // namespace homelab::http
