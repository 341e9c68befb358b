#pragma once
// Outgoing HTTP(S) through libcurl: one transfer thread for all transfers of a Client.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/message.h"

namespace homelab::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url;  ///< http or https only
  Headers headers;
  std::string body;
  std::string bearer_token;  ///< sent to the URL's own origin only, dropped on a redirect elsewhere
  std::optional<std::uint64_t> range_from;  ///< adds Range: bytes=N-
  std::chrono::seconds connect_timeout{10};
  std::chrono::seconds stall_timeout{30};  ///< no byte for that long ends with kDeadlineExceeded
  std::optional<std::chrono::seconds> total_timeout;
  int max_redirects = 20;
  bool direct = false;  ///< never through a proxy of the environment: our own server
};

struct ClientResponse {
  int status = 0;
  Headers headers;  ///< of the last response after redirects
  std::string body;
  std::string effective_url;
};

/// Called on the transfer thread; must not block.
struct TransferCallbacks {
  /// The final response's head. False aborts the transfer (on_done then has kCancelled).
  std::function<bool(int status, Headers const&)> on_head;
  enum class Flow { kContinue, kPause, kAbort };
  /// kPause: the same bytes are NOT consumed and come again after Transfer::resume().
  std::function<Flow(std::span<std::byte const>)> on_data;
  /// Exactly once, last. OK means the body is complete by its own framing.
  std::function<void(Status)> on_done;
};

class Transfer {
 public:
  virtual ~Transfer() = default;
  virtual void resume() = 0;  ///< thread-safe; no effect unless paused
  virtual void cancel() = 0;  ///< thread-safe; on_done still comes, with kCancelled
};

class Client {
 public:
  struct Options {
    std::string user_agent;
    std::size_t max_connections_per_host = 16;
    std::size_t max_transfers = 64;
  };
  [[nodiscard]] static std::unique_ptr<Client> create(Options options);
  virtual ~Client() = default;  ///< cancels what runs, joins the transfer thread

  [[nodiscard]] virtual std::shared_ptr<Transfer> start(ClientRequest request,
                                                        TransferCallbacks callbacks) = 0;
  /// Blocking convenience for small answers; bodies above `limit_bytes` are kResourceExhausted. Any
  /// HTTP status is a success of the call. `cancelled` (optional) is polled at least every 100 ms.
  [[nodiscard]] virtual Result<ClientResponse> fetch(
      ClientRequest request, std::size_t limit_bytes,
      std::function<bool()> const& cancelled = {}) = 0;
};

}  // namespace homelab::http
