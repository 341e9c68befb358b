// The half of a connection that answers.
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "base/json.h"
#include "base/strings.h"
#include "connection.h"
#include "range.h"
#include "text_rules.h"

namespace homelab::http {
namespace {

constexpr std::uint64_t kSmallFileBytes = 32UL * 1024;
constexpr std::uint64_t kSendfileBytes = 1 << 20;
constexpr std::uint64_t kFileTurnBytes = 8 << 20;

/// Does If-Range (if there is one) still name the file we have? (RFC 9110 §13.1.5)
bool range_still_valid(Request const& request, Headers const& file) {
  auto const condition = request.headers.find("if-range");
  if (!condition) return true;
  if (condition->starts_with("W/")) return false;
  auto const own = file.find(condition->starts_with('"') ? "etag" : "last-modified");
  return own && *own == *condition;
}

}  // namespace

Response detail_response(int status, std::string const& detail) {
  Response response;
  response.status = status;
  response.headers.set("content-type", "application/json");
  response.body = json::serialize(json::object{{"detail", detail}});
  return response;
}

void Connection::run_handler() {
  std::optional<Reply> reply;
  (void)call_contained("a route handler", [&] { reply.emplace((*match_.handler)(request_)); });
  if (!reply) reply.emplace(internal_error());
  asio::post(slot_->io(), [self = shared_from_this(), answer = std::move(*reply)]() mutable {
    self->on_reply(std::move(answer));
  });
}

void Connection::on_reply(Reply reply) {
  if (phase_ == Phase::kClosed) {
    // Whoever prepared a later answer is told, as promised, that nobody waits for it.
    if (auto* stream = std::get_if<StreamReply>(&reply); stream != nullptr && stream->start)
      (void)call_contained("the start of a stream", [&] { stream->start(make_dead_channel()); });
    if (auto* later = std::get_if<PendingReply>(&reply); later != nullptr && later->start)
      (void)call_contained("the start of an answer", [&] { later->start(make_dead_pending()); });
    return;
  }
  pending_ = nullptr;
  if (auto* response = std::get_if<Response>(&reply))
    begin_response(std::move(*response));
  else if (auto* file = std::get_if<FileReply>(&reply))
    begin_file(std::move(*file));
  else if (auto* stream = std::get_if<StreamReply>(&reply))
    begin_stream(std::move(*stream));
  else if (auto* later = std::get_if<PendingReply>(&reply))
    begin_pending(std::move(*later));
  drive();
}

void Connection::queue_head(int status, Headers headers, Framing framing) {
  (void)call_contained("a head filter",
                       [&] { core_->router.filter_head(request_, status, headers); });
  (void)call_contained("an observer", [&] { core_->router.observe(request_, status); });
  auto const wish = headers.find("connection");
  if ((wish && list_has(*wish, "close")) || core_->stopping) keep_alive_ = false;
  framing.keep_alive = keep_alive_;
  framing.say_keep_alive = minor_version_ == 0 || (wish && list_has(*wish, "keep-alive"));
  out_ += write_head(status, headers, framing);
}

void Connection::refuse(Refusal const& refusal) {
  keep_alive_ = false;  // where the next request would begin is not known
  unread_input_ = true;
  out_.clear();
  out_sent_ = 0;
  parser_.reset();
  begin_response(detail_response(refusal.status, refusal.detail));
}

void Connection::begin_response(Response response) {
  Framing framing;
  bool const with_body = may_have_body(response.status);
  if (with_body) framing.content_length = response.body.size();
  if (is_head_request() && response.body.empty()) {
    // A HEAD handler may say how long the body would be without making it.
    if (auto const length = response.headers.find("content-length"))
      framing.content_length = parse_uint(*length);
  }
  queue_head(response.status, std::move(response.headers), framing);
  if (with_body && !is_head_request()) body_ = std::move(response.body);
  phase_ = Phase::kWrite;
  limit_time(core_->options.body_timeout);
}

void Connection::begin_file(FileReply reply) {
  reply.headers.set("accept-ranges", "bytes");
  ByteRange range;
  auto const field = request_.headers.find("range");
  if (field && request_.method == "GET" && range_still_valid(request_, reply.headers)) {
    // The Hub's JavaScript client asks 0-byte files for a range and needs a success that names the
    // size.
    if (reply.size_bytes == 0)
      reply.headers.set("content-range", "bytes */0");
    else
      range = parse_range(*field, reply.size_bytes);
  }
  if (range.kind == ByteRange::Kind::kUnsatisfiable) {
    Response response;
    response.status = 416;
    response.headers = std::move(reply.headers);
    response.headers.set("content-range", "bytes */" + std::to_string(reply.size_bytes));
    begin_response(std::move(response));
    return;
  }
  int status = 200;
  file_at_ = 0;
  file_left_ = reply.size_bytes;
  if (range.kind == ByteRange::Kind::kPart) {
    status = 206;
    file_at_ = range.first;
    file_left_ = range.last - range.first + 1;
    reply.headers.set("content-range", "bytes " + std::to_string(range.first) + "-" +
                                           std::to_string(range.last) + "/" +
                                           std::to_string(reply.size_bytes));
  }
  Framing framing;
  framing.content_length = file_left_;
  queue_head(status, std::move(reply.headers), framing);
  file_ = std::move(reply.file);
  if (is_head_request()) file_left_ = 0;
  if (file_left_ > kSmallFileBytes)
    ::posix_fadvise(file_.get(), static_cast<off_t>(file_at_), static_cast<off_t>(file_left_),
                    POSIX_FADV_SEQUENTIAL);
  phase_ = Phase::kFile;
  limit_time(core_->options.body_timeout);
}

void Connection::begin_stream(StreamReply reply) {
  auto const io = &slot_->io();
  auto const wake = [io, weak = weak_from_this()] {
    asio::post(*io, [weak] {
      auto const self = weak.lock();
      if (self && self->phase_ == Phase::kStream) self->drive();
    });
  };
  Framing framing;
  chunked_ = minor_version_ >= 1;
  framing.chunked = chunked_;
  if (!chunked_) keep_alive_ = false;
  queue_head(reply.status, std::move(reply.headers), framing);
  stream_start_ = std::move(reply.start);
  if (is_head_request()) {
    phase_ = Phase::kWrite;
    auto const start = std::exchange(stream_start_, nullptr);
    if (start) (void)call_contained("the start of a stream", [&] { start(make_dead_channel()); });
    return;
  }
  limit_time(core_->options.body_timeout);
  stream_ = std::make_shared<StreamState>(core_->options.stream_buffer_bytes, wake);
  stream_end_queued_ = false;
  phase_ = Phase::kStream;
}

void Connection::begin_pending(PendingReply reply) {
  auto const io = &slot_->io();
  auto const deliver = [io, weak = weak_from_this()](Reply answer) {
    asio::post(*io, [weak, answer = std::move(answer)]() mutable {
      if (auto const self = weak.lock()) self->on_reply(std::move(answer));
    });
  };
  auto const state = std::make_shared<PendingState>(deliver);
  pending_ = state;
  wait_read();  // notices when the client leaves
  auto handle = make_pending(state);
  (void)call_contained("the start of an answer", [&] {
    if (reply.start) reply.start(std::move(handle));
  });
}

Connection::Io Connection::flush() {
  while (out_sent_ < out_.size() || body_sent_ < body_.size()) {
    std::array<asio::const_buffer, 2> const pieces = {
        asio::buffer(out_.data() + out_sent_, out_.size() - out_sent_),
        asio::buffer(body_.data() + body_sent_, body_.size() - body_sent_)};
    boost::system::error_code error;
    std::size_t const count = socket_.write_some(pieces, error);
    if (error == asio::error::would_block || error == asio::error::try_again) return Io::kBlocked;
    if (error) return Io::kFailed;
    std::size_t const of_out = std::min(count, out_.size() - out_sent_);
    out_sent_ += of_out;
    body_sent_ += count - of_out;
    limit_time(core_->options.body_timeout);
  }
  out_.clear();
  out_sent_ = 0;
  return Io::kDone;
}

std::optional<Connection::Next> Connection::unflushed() {
  switch (flush()) {
    case Io::kDone:
      break;
    case Io::kBlocked:
      return Next::kWaitWrite;
    case Io::kFailed:
      close();
      return Next::kAgain;
  }
  return std::nullopt;
}

Connection::Next Connection::write_rest() {
  if (auto const next = unflushed()) return *next;
  return answer_done();
}

Connection::Next Connection::stream_step() {
  while (true) {
    Io const written = flush();
    if (written == Io::kFailed) {
      close();
      return Next::kAgain;
    }
    if (auto const start = std::exchange(stream_start_, nullptr)) {
      wait_read();  // notices when the client leaves
      (void)call_contained("the start of a stream", [&] { start(make_channel(stream_)); });
    }
    if (written == Io::kBlocked && stream_->broken()) {
      cut();
      return Next::kAgain;
    }
    if (written == Io::kBlocked) return Next::kWaitWrite;
    if (stream_end_queued_) return answer_done();
    stream_->sent();
    auto const end = stream_->take(out_, chunked_);
    if (end == StreamState::End::kBroken) {
      cut();
      return Next::kAgain;
    }
    if (end == StreamState::End::kProper) {
      if (chunked_) out_ += "0\r\n\r\n";
      stream_end_queued_ = true;
    } else if (out_.empty()) {
      no_time_limit();
      return Next::kWaitEvent;
    }
    limit_time(core_->options.body_timeout);
  }
}

Connection::Next Connection::file_step() {
  if (file_left_ > 0 && file_left_ <= kSmallFileBytes && body_.empty()) {
    // Small files leave with their head in one packet.
    body_.resize(file_left_);
    ssize_t const count =
        ::pread(file_.get(), body_.data(), body_.size(), static_cast<off_t>(file_at_));
    if (count != static_cast<ssize_t>(file_left_)) {
      cut();
      return Next::kAgain;
    }
    file_left_ = 0;
  }
  if (auto const next = unflushed()) return *next;
  return send_file_part();
}

Connection::Next Connection::send_file_part() {
  for (std::uint64_t turn = 0; file_left_ > 0;) {
    off_t offset = static_cast<off_t>(file_at_);
    ssize_t const count = ::sendfile(socket_.native_handle(), file_.get(), &offset,
                                     std::min(file_left_, kSendfileBytes));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return Next::kWaitWrite;
    if (count <= 0) {  // the peer has left, or the file became shorter than its Content-Length
      cut();
      return Next::kAgain;
    }
    auto const sent = static_cast<std::uint64_t>(count);
    file_at_ += sent;
    file_left_ -= sent;
    turn += sent;
    limit_time(core_->options.body_timeout);
    if (turn >= kFileTurnBytes && file_left_ > 0) {
      // A reader as fast as we are must not keep the loop from other connections.
      asio::post(slot_->io(), [self = shared_from_this()] { self->drive(); });
      return Next::kWaitEvent;
    }
  }
  return answer_done();
}

}  // namespace homelab::http
