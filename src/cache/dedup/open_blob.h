#pragma once
// One blob, open for comparing and replacing.
#include <sys/stat.h>

#include <functional>
#include <optional>

#include "../folder_at.h"
#include "base/os/file_lock.h"
#include "cache/dedup.h"
#include "candidates.h"

namespace homelab::cache::sharing {

struct OpenBlob {
  FolderAt blobs;
  os::UniqueFd file;
  struct stat facts{};  ///< when it was opened, or after our own last change
  Path repo_folder;
  BlobName name;

  [[nodiscard]] Path path() const { return Path(blobs.shown) / name.text(); }
  [[nodiscard]] FileIdentity identity() const { return {facts.st_dev, facts.st_ino}; }
  /// False when the name means another file now, or this one was written to.
  [[nodiscard]] bool is_unchanged() const;
  /// kAborted when somebody holds the etag lock.
  [[nodiscard]] Result<os::FileLock> lock() const;
};

/// Without following a link below the hub folder; kFailedPrecondition when it is no regular file.
[[nodiscard]] Result<OpenBlob> open_blob(Place const& place, BlobName const& name);

/// True if the whole content has the hash that its name says. `on_bytes(n)` after each piece; false
/// from it ends with kCancelled.
[[nodiscard]] Result<bool> has_right_content(OpenBlob const& blob,
                                             std::function<bool(std::uint64_t)> const& on_bytes);

/// True when both lie on the same blocks already.
[[nodiscard]] bool share_blocks(OpenBlob const& a, OpenBlob const& b);

/// What replace() would say about owner, mode and access list; a guess only where the kind of file
/// system does not tell whether it has reflinks.
[[nodiscard]] Status check_replaceable(OpenBlob const& old, OpenBlob const& kept);

/// `old` gets the content of `kept` by reflink, else by hard link; its name always shows one of the
/// two files. kFailedPrecondition: owner, mode or access list differ and only a hard link could be
/// made.
[[nodiscard]] Result<SharedBlob::How> replace(OpenBlob const& old, OpenBlob& kept);

}  // namespace homelab::cache::sharing
