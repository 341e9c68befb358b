#pragma once
// A folder of the host under its name in this process (design §3): the mission's compose file gives
// the server the host's path and mounts the folder elsewhere. What a mount says about itself is in
// mountinfo; an explicit map always wins. Pure but for the probe.
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/mounts.h"
#include "cache/scan.h"

namespace homelab::cache {

/// One entry of CACHE_PATH_MAP: what the host calls `host` is `here`.
struct PathMapping {
  Path host;
  Path here;
};
/// The name here of `path` by the mapping whose host folder is the longest whole-component prefix
/// of it; nullopt when none is.
[[nodiscard]] std::optional<Path> map_path(std::span<PathMapping const> map, Path const& path);

/// How well a mount's source fits a host path, best last.
enum class MountFit {
  kSourceIsLonger,  ///< the source ends with it: a virtual machine adds its own prefix
  kSourceIsTail,    ///< it ends with the source: the folder is on a partition of its own
  kInSubvolume,     ///< the source without its btrfs subvolume is it
  kSame,            ///< the source is it, or a folder above it
};

struct MountLookup {
  std::optional<Path> path;  ///< the name here
  MountFit fit = MountFit::kSame;
  std::string why;  ///< for people: the mount that was found; without a path: why none was taken
};

/// What folder a mount point is; nullopt when it is none, or was deleted. folder_identity() but in
/// tests.
using FolderProbe = std::function<std::optional<FileIdentity>(Path const& point)>;
[[nodiscard]] std::optional<FileIdentity> folder_identity(Path const& point);

/// Where `host_path` (absolute) is mounted here. Only the best fit counts; mounts that fit equally
/// but are different folders are refused, because a guess would make a second cache.
[[nodiscard]] MountLookup find_mounted(std::span<Mount const> mounts, Path const& host_path,
                                       FolderProbe const& probe = folder_identity);

/// Finds folders that the settings or the registry name under the names they have in this process.
/// A value; thread-safe.
class PlaceFinder {
 public:
  PlaceFinder() = default;  ///< every path is what it says
  /// `mounts`: of this process. In anything that may be a container they are searched for a path
  /// that is on no mount of its own.
  PlaceFinder(std::vector<PathMapping> map, std::vector<Mount> mounts, Container container);

  struct Found {
    Path path;
    std::string why;  ///< one clause; empty: `path` is the one that was asked for
  };
  [[nodiscard]] Found find(Path const& path) const;

  /// kFailedPrecondition when `path`, a root or a hub folder, is on the own layer of the container
  /// that this certainly is: what is stored there goes with the container. The message says what to
  /// do.
  [[nodiscard]] Status check_lasting(Path const& path) const;

 private:
  [[nodiscard]] bool is_on_own_layer(Path const& path) const;

  std::vector<PathMapping> map_;
  std::vector<Mount> mounts_;
  Container container_;
};

}  // namespace homelab::cache
