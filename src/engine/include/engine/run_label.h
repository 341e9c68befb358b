#pragma once
// What the caller knows of a run and the engine does not see: for its row in the performance log.
#include <cstdint>
#include <optional>
#include <string>

namespace homelab::engine {

struct RunLabel {
  std::string endpoint = {};     ///< the route that the client called; empty: the engine's own path
  std::string request_id = {};   ///< empty: not known
  bool streamed = false;         ///< as the client asked for it
  std::string prompt_hash = {};  ///< empty: not known
  std::string parameters = {};   ///< JSON object: what the request asked for, without its texts
  std::optional<double> temperature = {};
  std::optional<double> top_p = {};
  std::optional<std::int64_t> top_k = {};
  std::optional<std::int64_t> max_new_tokens = {};
};

/// Requests that have been accepted and not ended.
struct RequestCounts {
  std::size_t working = 0;
  std::size_t waiting = 0;  ///< for their model or for their turn
};

}  // namespace homelab::engine
