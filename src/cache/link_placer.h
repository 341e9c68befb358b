#pragma once
// One entry of a snapshot: a relative link to a blob, or a plain file where links cannot be made.
#include <string>

#include "base/result.h"
#include "folder_at.h"

namespace homelab::cache {

enum class LinkMode {
  kSymlink,   ///< falls back to the next where the file system has none (FAT, some network shares)
  kHardLink,  ///< falls back to the next
  kMove,  ///< the blob itself moves, as with the Python client; a copy while a later entry needs it
};

/// Where one entry goes and what it shows.
struct LinkPlace {
  FolderAt const& blobs;
  FolderAt const& folder;  ///< the folder of the entry
  std::string name;        ///< last segment of the path
  std::string blob;        ///< file in `blobs`
  int depth = 0;           ///< folders between snapshots/<commit> and the entry
  bool last_use = true;    ///< no later entry of this call needs the blob
};

/// Makes the entry. What stands there and shows the same content stays; a dangling or wrong link is
/// replaced in one step. kFailedPrecondition when the blob is missing or a folder stands there.
/// `mode`: where to begin, for tests; real callers begin with symlinks.
[[nodiscard]] Status place_link(LinkPlace const& place, LinkMode mode = LinkMode::kSymlink);

}  // namespace homelab::cache
