#include "attempt.h"

namespace homelab::hub {
namespace {

class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(WantedBytes wanted, std::shared_ptr<Sink> sink, std::atomic<std::uint64_t>& counter,
          std::function<void(AttemptResult)> done)
      : wanted_(std::move(wanted)),
        sink_(std::move(sink)),
        counter_(counter),
        done_(std::move(done)) {}

  http::TransferCallbacks callbacks() {
    http::TransferCallbacks calls;
    calls.on_head = [self = shared_from_this()](int status, http::Headers const& headers) {
      return self->on_head(status, headers);
    };
    calls.on_data = [self = shared_from_this()](std::span<std::byte const> bytes) {
      return self->on_data(bytes);
    };
    calls.on_done = [self = shared_from_this()](Status status) {
      self->on_done(std::move(status));
    };
    return calls;
  }

  void set_transfer(std::weak_ptr<http::Transfer> transfer) {
    bool missed = false;
    {
      std::lock_guard const guard(mutex_);
      transfer_ = std::move(transfer);
      missed = resume_wanted_;
    }
    if (missed) resume();
  }

 private:
  bool on_head(int status, http::Headers const& headers) {
    result_.has_head = true;
    result_.http_status = status;
    result_.headers = headers;
    result_.verdict = judge_head(wanted_, status, headers);
    if (result_.verdict == HeadVerdict::kStartOver) sink_->start_over();
    return result_.verdict == HeadVerdict::kAppend || result_.verdict == HeadVerdict::kStartOver;
  }

  Sink::Flow on_data(std::span<std::byte const> bytes) {
    auto const flow = sink_->accept(bytes, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->resume();
    });
    if (flow == Sink::Flow::kContinue) {
      result_.received_bytes += bytes.size();
      counter_ += bytes.size();
    }
    return flow;
  }

  void on_done(Status status) {
    result_.transfer = std::move(status);
    sink_->finish([self = shared_from_this()](Status kept) {
      self->result_.kept = std::move(kept);
      self->done_(std::move(self->result_));
    });
  }

  /// The pool may have room again before start() has even given us the handle.
  void resume() {
    std::shared_ptr<http::Transfer> transfer;
    {
      std::lock_guard const guard(mutex_);
      transfer = transfer_.lock();
      resume_wanted_ = !transfer;
    }
    if (transfer) transfer->resume();
  }

  WantedBytes wanted_;
  std::shared_ptr<Sink> sink_;
  std::atomic<std::uint64_t>& counter_;
  std::function<void(AttemptResult)> done_;
  AttemptResult result_;

  std::mutex mutex_;
  std::weak_ptr<http::Transfer> transfer_;
  bool resume_wanted_ = false;
};

}  // namespace

std::shared_ptr<http::Transfer> start_attempt(http::Client& client, http::ClientRequest request,
                                              WantedBytes wanted, std::shared_ptr<Sink> sink,
                                              std::atomic<std::uint64_t>& counter,
                                              std::function<void(AttemptResult)> done) {
  auto attempt =
      std::make_shared<Attempt>(std::move(wanted), std::move(sink), counter, std::move(done));
  auto transfer = client.start(std::move(request), attempt->callbacks());
  attempt->set_transfer(transfer);
  return transfer;
}

}  // namespace homelab::hub
