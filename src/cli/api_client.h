#pragma once
// Our own server's HTTP API, seen from a command.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace homelab::http {
class Client;
}

namespace homelab::cli {

using Stopped = std::function<bool()>;

/// Thread-safe: one thread may wait for a load while another polls its progress.
///
/// Errors: kUnavailable when nobody listens (the message says how to start a server), kCancelled
/// when `stopped` said so, else what the server said (api_answer.h).
class ApiClient {
 public:
  ApiClient(std::string base_url, std::string_view version);
  ~ApiClient();
  [[nodiscard]] std::string const& base_url() const { return base_url_; }

  /// True when a server of this program answers its /health: reached within 2 seconds, answered
  /// within 15.
  [[nodiscard]] bool healthy() const;

  /// `target` is an encoded path with an optional query, for example "/api/models".
  [[nodiscard]] Result<json::value> get(std::string_view target) const;
  [[nodiscard]] Result<json::value> remove(std::string_view target) const;
  /// Waits as long as it takes (a load may download for hours) or until `stopped`.
  [[nodiscard]] Result<json::value> post(std::string_view target, json::value const& body,
                                         Stopped const& stopped = {}) const;
  /// Posts and hands the bytes of the answer to `on_bytes` on the calling thread as they come.
  /// False from `on_bytes` ends the stream without an error.
  [[nodiscard]] Status stream(std::string_view target, json::value const& body,
                              std::function<bool(std::string_view)> const& on_bytes,
                              Stopped const& stopped) const;
  /// The same for a GET.
  [[nodiscard]] Status read(std::string_view target,
                            std::function<bool(std::string_view)> const& on_bytes,
                            Stopped const& stopped) const;

 private:
  [[nodiscard]] Status receive(std::string method, std::string_view target, std::string body,
                               std::function<bool(std::string_view)> const& on_bytes,
                               Stopped const& stopped) const;
  [[nodiscard]] Result<json::value> call(std::string method, std::string_view target,
                                         std::string body, Stopped const& stopped) const;
  [[nodiscard]] Error explain(Error error) const;

  std::string base_url_;
  std::unique_ptr<http::Client> client_;
};

}  // namespace homelab::cli
