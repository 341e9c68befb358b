#pragma once
// How much memory a model needs: predicted from its headers, then learned from what its engines
// really took. Thread-safe.
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "describe.h"

namespace homelab::engine {

/// Everything that decides how much memory an engine takes.
struct EngineShape {
  std::string model_path;
  std::uint64_t context_tokens = 0;  ///< of all slots together
  int gpu_layers = -1;
  std::string quantised;
  [[nodiscard]] std::string key() const;
};

/// Bytes of so many weights in a type such as "Q4_K" (four bits and a half each).
[[nodiscard]] std::uint64_t quantised_bytes(std::uint64_t parameters, std::string_view type);

/// Weights, the keys and values of the whole context, and the buffers of a batch.
[[nodiscard]] std::uint64_t predicted_bytes(ModelFacts const& facts, std::uint64_t weight_bytes,
                                            std::uint64_t context_tokens);

class MemoryBook {
 public:
  /// What was measured at most for this shape, else `predicted`.
  [[nodiscard]] std::uint64_t needed_bytes(EngineShape const& shape, std::uint64_t predicted) const;
  /// An engine of this shape has `bytes` in memory.
  void measured(std::string const& key, std::uint64_t bytes);

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> most_;  // guarded by mutex_
};

}  // namespace homelab::engine
