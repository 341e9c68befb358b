#pragma once
// What was removed stays for a while in <hub>/.locks/.homelab-llm/trash/<time>-<random>/, on the
// same file system, so that it comes back by rename. Python's scanner does not look there.
//
// A record is a folder with a manifest (written and synced before the first thing is moved in) and
// the things themselves, named by their index in the manifest. A record without a readable manifest
// is what a crash or an immediate deletion left: nothing comes back from it, emptying takes it.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/removal.h"

namespace homelab::cache {

struct TrashItem {
  RemovalKind kind = RemovalKind::kBlob;
  std::string path;  ///< where it stood, relative to the hub folder
  friend bool operator==(TrashItem const&, TrashItem const&) = default;
};

struct TrashManifest {
  std::int64_t created_ns = 0;  ///< since 1970, UTC
  std::string reason;
  std::vector<TrashItem> items;
  friend bool operator==(TrashManifest const&, TrashManifest const&) = default;
};
[[nodiscard]] std::string to_manifest_json(TrashManifest const& manifest);
/// kDataLoss for anything malformed, and for a path that is not one of its kind below a repository
/// folder or the shared store.
[[nodiscard]] Result<TrashManifest> parse_manifest_json(std::string_view text);

struct TrashRecord {
  std::string id;
  std::int64_t created_ns = 0;
  std::string reason;            ///< empty: no readable manifest
  std::size_t items = 0;         ///< that are in the trash now
  std::uint64_t disk_bytes = 0;  ///< blocks that emptying it gives back
  bool restorable = false;
  bool in_use = false;  ///< another process is filling, restoring or emptying it
};
/// Oldest first. A hub folder without trash gives none.
[[nodiscard]] Result<std::vector<TrashRecord>> list_trash(Path const& hub_folder);

struct Restored {
  std::string id;
  std::vector<std::string> paths;  ///< relative to the hub folder
};
/// Puts a record back: shared-store payloads, blobs, snapshots and files, listings, refs. What was
/// missing when an earlier try was ended is continued. kNotFound: no such record;
/// kFailedPrecondition when something else stands there now (nothing was moved then); a blob that
/// came back meanwhile is fine. kAborted: in use.
[[nodiscard]] Result<Restored> restore_trash(Path const& hub_folder, std::string const& id);

struct Emptied {
  std::vector<std::string> ids;
  std::uint64_t freed_bytes = 0;
};
/// Deletes one record; kNotFound, kAborted as above.
[[nodiscard]] Result<Emptied> empty_trash(Path const& hub_folder, std::string const& id);
/// Deletes what is older than `age` (0: everything that nobody is using).
[[nodiscard]] Result<Emptied> empty_trash_older_than(Path const& hub_folder,
                                                     std::chrono::seconds age);
/// Deletes records, oldest first, until the file system has `free_bytes` free or none is left.
[[nodiscard]] Result<Emptied> empty_trash_until(Path const& hub_folder, std::uint64_t free_bytes);

}  // namespace homelab::cache
