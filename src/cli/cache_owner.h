#pragma once
// A program that a container starts as root writes files that the host's user can neither change
// nor delete. So it becomes the owner of the cache first (docs/decisions/0024).
#include <sys/stat.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/settings.h"

namespace homelab::cli {

/// Who this process is because of the cache it works on.
struct CacheOwner {
  uid_t user = 0;
  gid_t group = 0;
  std::string folder;  ///< whose owner that is
};
/// "running as uid 1000, gid 1000, the owner of ..."
[[nodiscard]] std::string describe(CacheOwner const& owner);

/// Does this map (/proc/self/uid_map) give each id to itself? In another one root is already an
/// ordinary user of the host, and owners may be shown as nobody.
[[nodiscard]] bool maps_every_id(std::string_view uid_map);

/// When this process is root in a container and the primary cache is a folder of the host that
/// belongs to somebody else: becomes that user, keeping only the right to reach files in closed
/// folders (CAP_DAC_OVERRIDE: /root is closed in many images), which engines inherit. Otherwise
/// nothing happens: nullopt. Must be called before the first thread.
[[nodiscard]] Result<std::optional<CacheOwner>> become_cache_owner(
    config::Settings const& settings);

}  // namespace homelab::cli
