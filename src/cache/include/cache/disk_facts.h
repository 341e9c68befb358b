#pragma once
// Facts about the disk below a cache folder, found out by asking and by trying. What is tried
// leaves nothing behind. Thread-safe.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cache {

/// The file system that holds a path or its nearest existing parent.
struct FileSystemFacts {
  std::string kind;      ///< "ext4", "btrfs", "nfs", "overlay", ...; "0x..." when not known
  bool network = false;  ///< another machine's: locks and times are not to be trusted
  bool memory = false;   ///< lost at a reboot
  bool read_only = false;
  std::uint64_t free_bytes = 0;  ///< available to this user
  std::uint64_t total_bytes = 0;
  std::optional<std::uint64_t> free_files;  ///< inodes for this user; nullopt = no limit (btrfs)
};
[[nodiscard]] Result<FileSystemFacts> file_system_of(Path const& path);
/// Name of a statfs(2) magic number.
[[nodiscard]] std::string file_system_name(std::uint64_t magic);

/// Can files be kept in this folder, and if not, why.
struct FolderState {
  enum class State {
    kReady,     ///< exists and takes files
    kAbsent,    ///< does not exist, but can be made
    kDegraded,  ///< cannot be used for writing, or not at all
  };
  State state = State::kReady;
  bool readable = false;  ///< exists and can be listed
  std::string reason;     ///< one clause when degraded: "its drive is not mounted", ...
};
/// Tries: a folder counts as writable only when a file could be made and removed in it.
[[nodiscard]] FolderState look_at_folder(Path const& folder);

/// "/mnt/z" for a folder below it while that does not exist: a drive that is away. Making the
/// folder would fill the system's disk instead. Looks at /mnt, /media, /run/media and /Volumes.
[[nodiscard]] std::optional<Path> missing_drive(Path const& folder);

/// Does flock(2) exclude (hf-cache rules, §4)? Some network file systems grant it to everybody.
enum class LockTruth { kExcludes, kGrantsEverybody, kUnsupported };
[[nodiscard]] std::string_view to_string(LockTruth truth);

/// What a file system can do, tried in a temporary folder that is removed again.
struct FolderAbilities {
  LockTruth locks = LockTruth::kUnsupported;         ///< two descriptors of this process
  LockTruth locks_across = LockTruth::kUnsupported;  ///< this process and a child
  bool symlinks = false;
  bool hard_links = false;
  bool reflinks = false;  ///< copies that share their blocks
  bool renames = false;   ///< a file over another
  bool swaps = false;     ///< two names exchanged in one step (RENAME_EXCHANGE)
  bool syncs = false;     ///< fsync of a file and of a folder
};
/// `folder` must exist. In a hub folder the trial happens below .locks, which scanners skip.
[[nodiscard]] Result<FolderAbilities> try_abilities(Path const& folder);

}  // namespace homelab::cache
