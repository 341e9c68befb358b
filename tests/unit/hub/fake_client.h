#pragma once
// An http::Client without a network: answers come from a table, on a thread of their own like the
// real ones.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "http/client.h"

namespace homelab::hub::test {

struct FakeAnswer {
  int status = 200;
  http::Headers headers;
  std::string body;
  Status network;            ///< an error: the transfer ends with it after `body`
  bool before_head = false;  ///< the network error comes before any head
};

class FakeClient : public http::Client {
 public:
  using Handler = std::function<FakeAnswer(http::ClientRequest const&)>;

  explicit FakeClient(Handler handler) : handler_(std::move(handler)), thread_([this] { run(); }) {}
  ~FakeClient() override {
    {
      std::lock_guard const guard(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  std::shared_ptr<http::Transfer> start(http::ClientRequest request,
                                        http::TransferCallbacks callbacks) override {
    auto transfer = std::make_shared<FakeTransfer>(*this);
    std::lock_guard const guard(mutex_);
    urls_.push_back(request.url);
    tasks_.push_back([this, transfer, request = std::move(request),
                      callbacks = std::move(callbacks)] { play(*transfer, request, callbacks); });
    changed_.notify_all();
    return transfer;
  }

  Result<http::ClientResponse> fetch(http::ClientRequest request, std::size_t,
                                     std::function<bool()> const&) override {
    {
      std::lock_guard const guard(mutex_);
      urls_.push_back(request.url);
      tokens_.push_back(request.bearer_token);
    }
    auto answer = handler_(request);
    if (!answer.network) return fail(answer.network.error());
    return http::ClientResponse{answer.status, answer.headers, answer.body, request.url};
  }

  std::size_t count(std::string_view part) {
    std::lock_guard const guard(mutex_);
    return static_cast<std::size_t>(std::count_if(urls_.begin(), urls_.end(), [&](auto const& url) {
      return url.find(part) != std::string::npos;
    }));
  }
  std::vector<std::string> tokens() {
    std::lock_guard const guard(mutex_);
    return tokens_;
  }

  /// While true, bodies do not move: a download stands still after its head.
  void hold(bool on) {
    std::lock_guard const guard(mutex_);
    held_ = on;
    changed_.notify_all();
  }

 private:
  class FakeTransfer : public http::Transfer {
   public:
    explicit FakeTransfer(FakeClient& client) : client_(client) {}
    void resume() override {
      std::lock_guard const guard(client_.mutex_);
      resumed = true;
      client_.changed_.notify_all();
    }
    void cancel() override {
      std::lock_guard const guard(client_.mutex_);
      cancelled = true;
      client_.changed_.notify_all();
    }
    bool resumed = false;
    bool cancelled = false;

   private:
    FakeClient& client_;
  };

  void run() {
    std::unique_lock guard(mutex_);
    for (;;) {
      changed_.wait(guard, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      guard.unlock();
      task();
      guard.lock();
    }
  }

  /// False when it was cancelled.
  bool wait_while(FakeTransfer& transfer, std::function<bool()> const& blocked) {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [&] { return transfer.cancelled || !blocked(); });
    return !transfer.cancelled;
  }

  void play(FakeTransfer& transfer, http::ClientRequest const& request,
            http::TransferCallbacks const& callbacks) {
    auto const answer = handler_(request);
    auto const cancelled = fail(Code::kCancelled, "transfer was stopped");
    if (answer.before_head) return callbacks.on_done(answer.network);
    if (!callbacks.on_head(answer.status, answer.headers)) return callbacks.on_done(cancelled);
    std::string_view rest = answer.body;
    while (!rest.empty()) {
      if (!wait_while(transfer, [this] { return held_; })) return callbacks.on_done(cancelled);
      auto const piece = rest.substr(0, 16384);
      auto const flow = callbacks.on_data(std::as_bytes(std::span(piece)));
      if (flow == http::TransferCallbacks::Flow::kAbort) return callbacks.on_done(cancelled);
      if (flow == http::TransferCallbacks::Flow::kContinue) {
        rest.remove_prefix(piece.size());
        continue;
      }
      if (!wait_while(transfer, [&] { return !transfer.resumed; }))
        return callbacks.on_done(cancelled);
      transfer.resumed = false;
    }
    callbacks.on_done(answer.network);
  }

  Handler handler_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::string> urls_;
  std::vector<std::string> tokens_;
  bool held_ = false;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace homelab::hub::test
