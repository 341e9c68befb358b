#pragma once
// What stands in the cache folders, looked up on disk: for `ls --cache` and `explain`. Works
// without a server.
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "cache/locations.h"
#include "config/settings.h"

namespace homelab::cli {

struct CachedRepo {
  std::string id;
  std::string location;  ///< "primary", "secondary"
  cache::Path folder;
  std::uint64_t size_bytes = 0;  ///< each blob once
  std::vector<std::string> refs;
  std::size_t snapshots = 0;
};
/// Repositories of the primary and the secondary cache; missing folders are empty.
[[nodiscard]] Result<std::vector<CachedRepo>> cached_repos(cache::Locations const& locations);
[[nodiscard]] std::string repo_table(std::vector<CachedRepo> const& repos);
[[nodiscard]] json::array to_json(std::vector<CachedRepo> const& repos);

}  // namespace homelab::cli
