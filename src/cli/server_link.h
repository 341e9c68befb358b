#pragma once
// The server a command talks to: the one that runs, or a private one inside this process.
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api_client.h"
#include "context.h"
#include "model_choice.h"
#include "output.h"

namespace homelab::cli {

/// Ends the private server, if there is one, when it goes.
class ServerLink {
 public:
  /// kUnavailable, saying how to start a server, when none answers at the settings' host and port.
  [[nodiscard]] static Result<ServerLink> connect(Context const& context);
  /// The same, but starts a private server when none answers.
  [[nodiscard]] static Result<ServerLink> connect_or_start(Context const& context);

  ServerLink(ServerLink&& other) noexcept
      : api_(std::move(other.api_)), stop_(std::exchange(other.stop_, {})) {}
  ServerLink& operator=(ServerLink&&) = delete;
  ~ServerLink();

  [[nodiscard]] ApiClient const& api() const { return *api_; }
  [[nodiscard]] bool is_private() const { return static_cast<bool>(stop_); }

 private:
  ServerLink(std::unique_ptr<ApiClient> api, std::function<void()> stop)
      : api_(std::move(api)), stop_(std::move(stop)) {}
  std::unique_ptr<ApiClient> api_;
  std::function<void()> stop_;
};

/// "/api/models/NAME", the name percent-encoded.
[[nodiscard]] std::string model_target(std::string_view name);

[[nodiscard]] Result<std::vector<ModelRow>> list_models(ApiClient const& api);

/// The names of everything the server has loaded.
[[nodiscard]] Result<std::set<std::string>> loaded_models(ApiClient const& api);

/// Finds the model a word means, registering it in the primary location first when it is a
/// repository or a path that nobody registered yet (a remark says so).
[[nodiscard]] Result<ModelRow> find_or_register(ApiClient const& api, Output const& out,
                                                std::string const& word);

/// Loads by registered name, showing download and start as a progress bar on stderr; gives the
/// server's answer. kCancelled on Ctrl-C: the server goes on, only the waiting ends.
[[nodiscard]] Result<json::value> load_with_progress(ServerLink const& link,
                                                     std::string const& name, bool force,
                                                     bool beside = false);

}  // namespace homelab::cli
