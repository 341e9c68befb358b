#pragma once
// Where the space went, per location: `cache du`.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/os/file.h"
#include "cache/scan.h"
#include "cache/usage.h"
#include "care/work.h"

namespace homelab::care {

struct LargeRepo {
  std::string id;
  cache::RepoType type;
  std::uint64_t size_bytes;
  std::uint64_t disk_bytes;
};

struct PlaceUsage {
  std::string name;
  std::string root;
  std::vector<cache::Path> hub_folders;
  cache::Usage usage;
  std::vector<LargeRepo> largest;  ///< largest first
  std::uint64_t limit_bytes = 0;   ///< 0: none
  std::optional<os::DiskSpace> disk;
  std::string problem;  ///< why the sums are not known; empty: they are
};

/// The primary and the secondary location. kCancelled when stopped.
[[nodiscard]] Result<std::vector<PlaceUsage>> measure_places(Work const& work);
[[nodiscard]] json::array to_json(std::vector<PlaceUsage> const& places);

/// What `cache du` says.
[[nodiscard]] Result<Answer> du(Work const& work);

}  // namespace homelab::care
