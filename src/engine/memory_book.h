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

/// Tokens whose keys and values are expected in memory at a time: half of all slots' context, since
/// it takes memory only where it is used, but at least one slot full.
[[nodiscard]] std::uint64_t expected_tokens(std::uint64_t context_tokens, std::uint64_t slots);

/// What a model will need. `predicted` has the buffers of a batch and of the program, which are
/// estimated generously; `least` is what it will surely grow to, however little was measured
/// before.
struct Prediction {
  std::uint64_t predicted = 0;
  std::uint64_t least = 0;
};
[[nodiscard]] Prediction predict(ModelFacts const& facts, std::uint64_t weight_bytes,
                                 std::uint64_t tokens);

class MemoryBook {
 public:
  /// What was measured at most for this shape (but not less than `least`), else `predicted`.
  [[nodiscard]] std::uint64_t needed_bytes(EngineShape const& shape, Prediction prediction) const;
  /// An engine of this shape has `bytes` in memory.
  void measured(std::string const& key, std::uint64_t bytes);

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> most_;  // guarded by mutex_
};

}  // namespace homelab::engine
