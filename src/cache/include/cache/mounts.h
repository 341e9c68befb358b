#pragma once
// Which mount a path is on, and whether this is a container: what /proc/self/mountinfo says, for
// `doctor` and for finding a cache under its other name. Pure but for read_mounts() and mount_of().
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cache {

/// One line of mountinfo, octal escapes undone.
struct Mount {
  unsigned long id = 0;
  std::string root;   ///< folder inside the source's file system
  std::string point;  ///< where this process sees it
  bool read_only = false;
  std::string file_system;  ///< "ext4", "overlay", ...
  std::string source;
  std::string super_options;  ///< of the file system: "rw,subvol=/@home"
};

/// Lines that are not as the kernel writes them are left out; at most 100,000 mounts are kept, at
/// most `kMaxMountinfoBytes` of text are read.
inline constexpr std::size_t kMaxMountinfoBytes = std::size_t{16} << 20;
[[nodiscard]] std::vector<Mount> parse_mountinfo(std::string_view text);
/// Of this process; empty where /proc is not mounted.
[[nodiscard]] std::vector<Mount> read_mounts();

/// The mount whose point is the longest whole-component prefix of `path` (absolute, links already
/// resolved); of equal points the last, which covers the earlier ones. nullptr: none.
[[nodiscard]] Mount const* mount_of(std::span<Mount const> mounts, Path const& path);

/// The nearest existing parent of `path` (or itself), links resolved; the start of every question
/// about the disk a folder is or would be on.
[[nodiscard]] Path existing_part(Path const& path);

/// What speaks for a container. `marked` (our image sets HOMELAB_LLM_CONTAINER=1) is the only one
/// that is certain; a virtual machine may carry /.dockerenv.
struct ContainerHints {
  bool marked = false;
  bool docker_file = false;         ///< /.dockerenv
  bool podman_file = false;         ///< /run/.containerenv
  bool kubernetes = false;          ///< KUBERNETES_SERVICE_HOST
  std::string control_groups = {};  ///< /proc/1/cgroup
};
enum class ContainerVerdict { kNo, kProbably, kYes };
struct Container {
  ContainerVerdict verdict = ContainerVerdict::kNo;
  std::string because;  ///< one clause for people
};
[[nodiscard]] Container judge_container(ContainerHints const& hints, std::span<Mount const> mounts);

/// What kind of place a mount is, seen from inside a container.
enum class PlaceKind { kOwnLayer, kMemory, kVolume, kDeleted, kForeign, kMounted };
/// `in_container`: only there the root mount is a layer that goes with the container.
[[nodiscard]] PlaceKind place_kind(Mount const& mount, bool in_container);

}  // namespace homelab::cache
