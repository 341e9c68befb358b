#include "api_client.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "api_answer.h"
#include "http/client.h"

namespace homelab::cli {
namespace {

constexpr std::size_t kAnswerLimitBytes = 64U << 20;
constexpr std::size_t kStreamBufferBytes = 1U << 20;
constexpr std::size_t kErrorBodyBytes = 64U << 10;
constexpr std::chrono::milliseconds kStopPoll{100};
// A load answers once, at its end; the server keeps its own deadlines.
constexpr std::chrono::hours kPatience{24 * 7};

http::ClientRequest request_to(std::string method, std::string url, std::string body) {
  http::ClientRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.body = std::move(body);
  request.stall_timeout = kPatience;
  request.max_redirects = 0;
  request.direct = true;
  if (!request.body.empty()) request.headers.set("Content-Type", "application/json");
  return request;
}

/// What the transfer thread hands to the waiting thread.
struct Inbox {
  std::mutex mutex;
  std::condition_variable changed;
  std::string bytes;
  int status = 0;
  bool paused = false;
  std::optional<Status> result;

  http::TransferCallbacks::Flow take(std::span<std::byte const> data) {
    std::lock_guard const lock(mutex);
    if (bytes.size() > kStreamBufferBytes) {
      paused = true;
      return http::TransferCallbacks::Flow::kPause;
    }
    for (std::byte const one : data) bytes += static_cast<char>(one);
    changed.notify_one();
    return http::TransferCallbacks::Flow::kContinue;
  }
};

http::TransferCallbacks callbacks_into(std::shared_ptr<Inbox> const& inbox) {
  http::TransferCallbacks callbacks;
  callbacks.on_head = [inbox](int status, http::Headers const&) {
    std::lock_guard const lock(inbox->mutex);
    inbox->status = status;
    return true;
  };
  callbacks.on_data = [inbox](std::span<std::byte const> data) { return inbox->take(data); };
  callbacks.on_done = [inbox](Status result) {
    std::lock_guard const lock(inbox->mutex);
    inbox->result = std::move(result);
    inbox->changed.notify_one();
  };
  return callbacks;
}

/// What one look into the inbox gave.
struct Delivery {
  std::string bytes;
  int status = 0;
  bool resume = false;
  std::optional<Status> result;
};

Delivery wait_for_bytes(Inbox& inbox) {
  std::unique_lock lock(inbox.mutex);
  inbox.changed.wait_for(lock, kStopPoll, [&] { return !inbox.bytes.empty() || inbox.result; });
  Delivery delivery{
      std::exchange(inbox.bytes, {}), inbox.status, std::exchange(inbox.paused, false), {}};
  // The result is read only when all bytes before it were taken.
  if (delivery.bytes.empty()) delivery.result = inbox.result;
  return delivery;
}

}  // namespace

ApiClient::ApiClient(std::string base_url, std::string_view version)
    : base_url_(std::move(base_url)),
      client_(http::Client::create({.user_agent = fmt::format("homelab-llm/{}", version)})) {}

ApiClient::~ApiClient() = default;

Error ApiClient::explain(Error error) const {
  if (error.code != Code::kUnavailable) return error;
  return {Code::kUnavailable, fmt::format("no server at {}; start it with: homelab-llm serve ({})",
                                          base_url_, error.message)};
}

bool ApiClient::healthy() const {
  auto request = request_to("GET", base_url_ + "/health", {});
  // A busy server is slow to answer, not absent: taking it for absent would start a second one
  // beside it.
  request.connect_timeout = std::chrono::seconds(2);
  request.total_timeout = std::chrono::seconds(15);
  auto const answer = client_->fetch(std::move(request), kErrorBodyBytes);
  if (!answer || answer->status != 200) return false;
  auto const body = parse_json(answer->body);
  return body && body->is_object() && get_string(body->get_object(), "status") == "healthy";
}

Result<json::value> ApiClient::call(std::string method, std::string_view target, std::string body,
                                    Stopped const& stopped) const {
  auto answer = client_->fetch(
      request_to(std::move(method), base_url_ + std::string(target), std::move(body)),
      kAnswerLimitBytes, stopped);
  if (!answer) return fail(explain(std::move(answer).error()));
  if (answer->status >= 300) return fail(error_of_answer(answer->status, answer->body));
  return value_of_answer(answer->body);
}

Result<json::value> ApiClient::get(std::string_view target) const {
  return call("GET", target, {}, {});
}

Result<json::value> ApiClient::remove(std::string_view target) const {
  return call("DELETE", target, {}, {});
}

Result<json::value> ApiClient::post(std::string_view target, json::value const& body,
                                    Stopped const& stopped) const {
  return call("POST", target, json::serialize(body), stopped);
}

Status ApiClient::stream(std::string_view target, json::value const& body,
                         std::function<bool(std::string_view)> const& on_bytes,
                         Stopped const& stopped) const {
  return receive("POST", target, json::serialize(body), on_bytes, stopped);
}

Status ApiClient::read(std::string_view target,
                       std::function<bool(std::string_view)> const& on_bytes,
                       Stopped const& stopped) const {
  return receive("GET", target, {}, on_bytes, stopped);
}

Status ApiClient::receive(std::string method, std::string_view target, std::string body,
                          std::function<bool(std::string_view)> const& on_bytes,
                          Stopped const& stopped) const {
  auto const inbox = std::make_shared<Inbox>();
  auto const transfer = client_->start(
      request_to(std::move(method), base_url_ + std::string(target), std::move(body)),
      callbacks_into(inbox));
  std::string error_body;
  while (true) {
    Delivery const delivery = wait_for_bytes(*inbox);
    if (delivery.resume) transfer->resume();
    if (delivery.result) {
      if (!*delivery.result) return fail(explain(delivery.result->error()));
      if (delivery.status >= 300) return fail(error_of_answer(delivery.status, error_body));
      return {};
    }
    if (stopped && stopped()) {
      transfer->cancel();
      return fail(Code::kCancelled, "stopped");
    }
    if (delivery.bytes.empty()) continue;
    if (delivery.status >= 300) {
      error_body += delivery.bytes.substr(0, kErrorBodyBytes - error_body.size());
    } else if (!on_bytes(delivery.bytes)) {
      transfer->cancel();
      return {};
    }
  }
}

}  // namespace homelab::cli
