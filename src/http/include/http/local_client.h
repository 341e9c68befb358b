#pragma once
// HTTP/1.1 to a Unix socket (our engines), asynchronous, on the I/O loops.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"
#include "http/server.h"

namespace homelab::http {

struct LocalRequest {
  std::string socket_path;
  std::string method = "GET";
  std::string target = "/";
  Headers headers;
  std::string body;
  std::chrono::milliseconds idle_timeout{
      600000};  ///< no byte for that long ends with kDeadlineExceeded
};

/// Called on one I/O loop, in order; must not block.
struct LocalCallbacks {
  std::function<void(int status, Headers const&)> on_head;
  std::function<void(std::string_view bytes)> on_data;
  /// Exactly once, last; also after cancel() (kCancelled). OK: the body ended by its own framing.
  std::function<void(Status)> on_done;
};

class LocalExchange {
 public:
  virtual ~LocalExchange() = default;
  virtual void cancel() = 0;  ///< closes the socket; thread-safe, idempotent
};

/// Starts one exchange. Dropping the returned pointer does not cancel.
std::shared_ptr<LocalExchange> start_local(IoLoops& loops, LocalRequest request,
                                           LocalCallbacks callbacks);

/// Blocking form for small answers (health, props).
struct LocalResponse {
  int status = 0;
  std::string body;
};
[[nodiscard]] Result<LocalResponse> fetch_local(IoLoops& loops, LocalRequest request,
                                                std::size_t limit_bytes);

}  // namespace homelab::http
