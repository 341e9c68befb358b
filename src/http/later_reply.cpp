#include "later_reply.h"

#include <fmt/format.h>

#include <exception>
#include <iterator>

#include "base/log.h"

namespace homelab::http {

bool call_contained(char const* what, std::function<void()> const& function) {
  try {
    function();
    return true;
  } catch (std::exception const& error) {
    logger("http")->error("{} threw: {}", what, error.what());
  } catch (...) {
    logger("http")->error("{} threw something that is no std::exception", what);
  }
  return false;
}

Response internal_error() {
  Response response;
  response.status = 500;
  response.headers.set("content-type", "text/plain; charset=utf-8");
  response.body = "Internal Server Error";
  return response;
}

void GoneSignal::on_gone(std::function<void()> callback) {
  {
    std::lock_guard const guard(mutex_);
    if (state_ == State::kOpen) {
      callbacks_.push_back(std::move(callback));
      return;
    }
    if (state_ == State::kSettled) return;
  }
  (void)call_contained("a client-gone callback", callback);
}

bool GoneSignal::raise() {
  std::vector<std::function<void()>> callbacks;
  {
    std::lock_guard const guard(mutex_);
    if (state_ != State::kOpen) return false;
    state_ = State::kGone;
    callbacks.swap(callbacks_);
  }
  for (auto const& callback : callbacks) (void)call_contained("a client-gone callback", callback);
  return true;
}

void GoneSignal::settle() {
  std::vector<std::function<void()>> dropped;  // destroyed after the lock: they own other objects
  std::lock_guard const guard(mutex_);
  if (state_ != State::kOpen) return;
  state_ = State::kSettled;
  dropped.swap(callbacks_);
}

bool GoneSignal::raised() const {
  std::lock_guard const guard(mutex_);
  return state_ == State::kGone;
}

StreamState::StreamState(std::size_t bound_bytes, std::function<void()> wake)
    : bound_bytes_(bound_bytes), wake_(std::move(wake)) {}

bool StreamState::write(std::string bytes) {
  std::lock_guard const guard(mutex_);
  if (reader_gone_ || end_ != End::kNotYet) return false;
  std::size_t const waiting = queued_.size() + in_flight_bytes_;
  // One piece larger than the bound is taken when nothing else waits, or it could never be sent.
  bool const fits = waiting == 0 || waiting + bytes.size() <= bound_bytes_;
  if (!fits) {
    end_ = End::kBroken;
    queued_.clear();
  } else if (queued_.empty()) {
    queued_ = std::move(bytes);
  } else {
    queued_ += bytes;
  }
  // The loop may be waiting for a client that reads nothing, with an earlier wake still unanswered.
  if (!std::exchange(wake_sent_, true) || !fits) wake_();
  return fits;
}

void StreamState::close(bool ok) {
  {
    std::lock_guard const guard(mutex_);
    if (reader_gone_ || end_ != End::kNotYet) return;
    end_ = ok ? End::kProper : End::kBroken;
    if (!std::exchange(wake_sent_, true) || !ok) wake_();
  }
  gone_.settle();
}

StreamState::End StreamState::take(std::string& out, bool chunked) {
  std::lock_guard const guard(mutex_);
  wake_sent_ = false;
  if (!queued_.empty()) {
    if (chunked) fmt::format_to(std::back_inserter(out), "{:x}\r\n", queued_.size());
    out += queued_;
    if (chunked) out += "\r\n";
    in_flight_bytes_ += queued_.size();
    queued_.clear();
  }
  return end_;
}

bool StreamState::broken() {
  std::lock_guard const guard(mutex_);
  return end_ == End::kBroken;
}

void StreamState::sent() {
  std::lock_guard const guard(mutex_);
  in_flight_bytes_ = 0;
}

void StreamState::client_left() {
  bool closed = false;
  {
    std::lock_guard const guard(mutex_);
    reader_gone_ = true;
    queued_ = {};
    closed = end_ == End::kProper;
  }
  if (!closed) gone_.raise();
}

namespace {

class Channel final : public StreamChannel {
 public:
  explicit Channel(std::shared_ptr<StreamState> state) : state_(std::move(state)) {}
  ~Channel() override { state_->close(false); }
  Channel(Channel const&) = delete;
  Channel& operator=(Channel const&) = delete;
  bool write(std::string bytes) override { return state_->write(std::move(bytes)); }
  void close(bool ok) override { state_->close(ok); }
  void on_client_gone(std::function<void()> callback) override {
    state_->gone().on_gone(std::move(callback));
  }

 private:
  std::shared_ptr<StreamState> state_;
};

class PendingHandle final : public Pending {
 public:
  explicit PendingHandle(std::shared_ptr<PendingState> state) : state_(std::move(state)) {}
  ~PendingHandle() override { state_->complete(internal_error()); }
  PendingHandle(PendingHandle const&) = delete;
  PendingHandle& operator=(PendingHandle const&) = delete;
  void complete(Response response) override { state_->complete(std::move(response)); }
  void complete(StreamReply reply) override { state_->complete(std::move(reply)); }
  void on_client_gone(std::function<void()> callback) override {
    state_->gone().on_gone(std::move(callback));
  }

 private:
  std::shared_ptr<PendingState> state_;
};

}  // namespace

std::shared_ptr<StreamChannel> make_channel(std::shared_ptr<StreamState> state) {
  return std::make_shared<Channel>(std::move(state));
}

std::shared_ptr<StreamChannel> make_dead_channel() {
  auto state = std::make_shared<StreamState>(0, [] {});
  state->client_left();
  return make_channel(std::move(state));
}

PendingState::PendingState(std::function<void(Reply)> deliver) : deliver_(std::move(deliver)) {}

void PendingState::complete(Reply reply) {
  std::function<void(Reply)> used;
  {
    std::lock_guard const guard(mutex_);
    used.swap(deliver_);
    if (used) used(std::move(reply));
  }
  if (used) {
    gone_.settle();
    return;
  }
  // Too late: whoever is behind a stream still has to hear that nobody listens.
  if (auto* stream = std::get_if<StreamReply>(&reply); stream != nullptr && stream->start)
    (void)call_contained("the start of a stream", [&] { stream->start(make_dead_channel()); });
}

void PendingState::client_left() {
  std::function<void(Reply)> dropped;
  {
    std::lock_guard const guard(mutex_);
    dropped.swap(deliver_);
  }
  if (dropped) gone_.raise();
}

std::shared_ptr<Pending> make_pending(std::shared_ptr<PendingState> state) {
  return std::make_shared<PendingHandle>(std::move(state));
}

std::shared_ptr<Pending> make_dead_pending() {
  auto state = std::make_shared<PendingState>([](Reply) {});
  state->client_left();
  return make_pending(std::move(state));
}

}  // namespace homelab::http
