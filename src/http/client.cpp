#include "http/client.h"

#include <fmt/format.h>

#include <condition_variable>
#include <mutex>

#include "curl_loop.h"
#include "curl_transfer.h"

namespace homelab::http {
namespace {

/// Where a blocking call collects its answer. Shared with the transfer thread, which may outlive
/// the call's interest.
struct Collected {
  std::mutex mutex;
  std::condition_variable changed;
  ClientResponse response;
  bool too_large = false;
  bool done = false;
  Status status;
};

TransferCallbacks collect_into(std::shared_ptr<Collected> const& into, std::size_t limit_bytes) {
  TransferCallbacks callbacks;
  callbacks.on_head = [into](int status, Headers const& headers) {
    into->response.status = status;
    into->response.headers = headers;
    return true;
  };
  callbacks.on_data = [into, limit_bytes](std::span<std::byte const> bytes) {
    std::string& body = into->response.body;
    if (bytes.size() > limit_bytes - body.size()) {
      into->too_large = true;
      return TransferCallbacks::Flow::kAbort;
    }
    body.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    return TransferCallbacks::Flow::kContinue;
  };
  callbacks.on_done = [into](Status status) {
    std::lock_guard const guard(into->mutex);
    into->status = std::move(status);
    into->done = true;
    into->changed.notify_all();
  };
  return callbacks;
}

class CurlClient final : public Client {
 public:
  explicit CurlClient(Options options) : loop_(std::make_shared<CurlLoop>(std::move(options))) {}
  ~CurlClient() override { loop_->stop(); }
  CurlClient(CurlClient const&) = delete;
  CurlClient& operator=(CurlClient const&) = delete;

  std::shared_ptr<Transfer> start(ClientRequest request, TransferCallbacks callbacks) override {
    return begin(std::move(request), std::move(callbacks));
  }

  Result<ClientResponse> fetch(ClientRequest request, std::size_t limit_bytes,
                               std::function<bool()> const& cancelled) override {
    if (loop_->on_transfer_thread())
      return fail(Code::kInternal, "a blocking HTTP call on the transfer thread would never end");
    auto const collected = std::make_shared<Collected>();
    auto const transfer = begin(std::move(request), collect_into(collected, limit_bytes));
    std::unique_lock lock(collected->mutex);
    auto const is_done = [&] { return collected->done; };
    while (!collected->changed.wait_for(lock, std::chrono::milliseconds(100), is_done)) {
      if (!cancelled) continue;
      lock.unlock();
      if (cancelled()) transfer->cancel();
      lock.lock();
    }
    if (collected->too_large) {
      return fail(Code::kResourceExhausted,
                  fmt::format("the answer is larger than {} bytes", limit_bytes));
    }
    if (!collected->status) return fail(std::move(collected->status).error());
    collected->response.effective_url = transfer->effective_url();
    return std::move(collected->response);
  }

 private:
  std::shared_ptr<CurlTransfer> begin(ClientRequest request, TransferCallbacks callbacks) {
    auto transfer = std::make_shared<CurlTransfer>(loop_, std::move(request), std::move(callbacks));
    loop_->add(transfer);
    return transfer;
  }

  std::shared_ptr<CurlLoop> loop_;
};

}  // namespace

std::unique_ptr<Client> Client::create(Options options) {
  return std::make_unique<CurlClient>(std::move(options));
}

}  // namespace homelab::http
