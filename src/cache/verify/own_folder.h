#pragma once
// The program's own corner of a hub folder: <hub>/.locks/.homelab-llm, on the same file system as
// the blobs and unseen by other programs' scanners.
#include <initializer_list>
#include <string>

#include "folder_at.h"

namespace homelab::cache {

[[nodiscard]] inline os::Path own_folder(os::Path const& hub_folder) {
  return hub_folder / ".locks" / ".homelab-llm";
}

/// Opens a folder below it, made when missing. `.locks` may be a link (a bridged root), nothing
/// below it may.
[[nodiscard]] Result<FolderAt> make_own_folder(os::Path const& hub_folder,
                                               std::initializer_list<std::string> below);

}  // namespace homelab::cache
