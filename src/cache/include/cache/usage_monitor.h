#pragma once
// What the locations hold, measured in the background, so that no request waits for a walk over a
// big cache or a sleeping drive.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "cache/locations.h"

namespace homelab::cache {

/// One location as it was at `measured_at`.
struct LocationUsage {
  LocationKind kind = LocationKind::kPrimary;
  Locations::Space space{};  ///< with nothing more required
  std::string degraded;  ///< why it cannot be used fully (Locations::trouble); empty when it can
  UtcTime measured_at;
};

/// Thread-safe. Owns one thread, begun by the first question (a command that only starts a private
/// server never pays for a walk); it measures at once, then every `every`, and sooner when told.
/// The destructor waits for a running measurement to reach the next repository.
class UsageMonitor {
 public:
  UsageMonitor(Locations const& locations, std::chrono::milliseconds every);
  ~UsageMonitor();
  UsageMonitor(UsageMonitor const&) = delete;
  UsageMonitor& operator=(UsageMonitor const&) = delete;

  /// The newest measurement: one for each of Locations::all(), in that order. Before the first one
  /// is there it waits at most `limit`, then gives what is known without the disk: paths and
  /// limits, nothing used.
  [[nodiscard]] std::vector<LocationUsage> latest(std::chrono::milliseconds limit);

  /// Something changed (a download, a deletion): measure again soon, if anybody ever asked. Does
  /// not wait.
  void refresh_soon();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace homelab::cache
