#pragma once
// Requests to an external engine.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "http/client.h"
#include "http/local_client.h"

namespace homelab::engine {

/// Where an external engine is reached. Fixed while it is loaded.
struct Remote {
  http::Client& client;  ///< of the service, which outlives its engines
  std::string url;       ///< base URL, as parse_base_url() gives it
  std::string model;     ///< the model's name there
  std::string health;    ///< path
  std::string api_key;   ///< secret; empty = none
  std::string engine;    ///< its name in the engines file; empty: known by the URL alone
};

/// http::start_local() for an external engine; `socket_path` is not used. Callbacks come on the
/// transfer thread of the client.
std::shared_ptr<http::LocalExchange> start_remote(Remote const& remote, http::LocalRequest request,
                                                  http::LocalCallbacks callbacks);

/// GET of something small; blocks, at most for a few seconds without a byte. Any HTTP status is a
/// success of the call.
[[nodiscard]] Result<http::ClientResponse> fetch_remote(Remote const& remote,
                                                        std::string const& path,
                                                        std::function<bool()> const& cancelled);

/// The model's name there. `wanted` must be one that GET /v1/models lists; when it is empty, the
/// first of `likely` that is listed, else the only one. A server without that list is believed
/// (`wanted`, else the first of `likely`). kNotFound says what is listed; kPermissionDenied when
/// the key is refused.
[[nodiscard]] Result<std::string> find_remote_model(Remote const& remote, std::string const& wanted,
                                                    std::vector<std::string> const& likely,
                                                    std::function<bool()> const& cancelled);

}  // namespace homelab::engine
