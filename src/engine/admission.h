#pragma once
// Which loaded models have to go so that another one fits. Pure.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace homelab::engine {

/// A loaded model, as far as its memory is concerned.
struct Resident {
  std::string model;
  std::uint64_t bytes = 0;  ///< that come free when it goes
  bool pinned = false;      ///< never goes for another one
  bool busy = false;        ///< works, or did so a moment ago
  std::chrono::steady_clock::time_point last_used;
};

/// What a load asks for.
struct Demand {
  std::uint64_t needed_bytes = 0;
  std::uint64_t free_bytes = 0;  ///< of this machine or container, with the residents in place
  std::size_t max_models = 1;    ///< loaded at once, the new one counted
  /// Of `free_bytes`, what the residents will still use; counted in their `bytes` as well.
  std::uint64_t promised_bytes = 0;
};

struct Admission {
  enum class Kind {
    kFits,   ///< once `leaving` are gone (perhaps none)
    kWaits,  ///< `leaving` would make room, but some of them are busy
    kNever,  ///< not even without every model that is not pinned
  };
  Kind kind = Kind::kNever;
  std::vector<std::string> leaving;  ///< least recently used first
};

/// Prefers idle models over busy ones, and then those that were used longest ago; never more of
/// them than needed.
[[nodiscard]] Admission admit(Demand const& demand, std::vector<Resident> residents);

}  // namespace homelab::engine
