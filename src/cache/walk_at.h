#pragma once
// Walking below an open folder without following links: what planted links in a repository cannot
// lead astray. Private to the cache module.
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "folder_at.h"
#include "folder_entries.h"

namespace homelab::cache {

/// Deeper folders are an error: the cache has none.
inline constexpr int kMaxWalkDepth = 64;

struct SplitName {
  std::string folder;  ///< empty: the root itself
  std::string name;
};
[[nodiscard]] SplitName split_name(std::string const& path);

/// Opens a '/'-separated folder below `root`; kFailedPrecondition when a part of it is a link.
[[nodiscard]] Result<FolderAt> open_below(FolderAt const& root, std::string const& folder);
/// Likewise, making what is missing.
[[nodiscard]] Result<FolderAt> make_folder_below(FolderAt const& root, std::string const& folder);

/// Everything below a folder that is no folder itself: its folder, its name, its path relative to
/// `root`. A missing `root` is no call at all.
using Visit =
    std::function<Status(FolderAt const& folder, std::string const& name, std::string const& path)>;
[[nodiscard]] Status walk_below(FolderAt const& root, std::string const& folder,
                                Visit const& visit);

/// Deletes `name` and, when it is a folder, what is below it. Links are deleted, never followed. A
/// missing name is no error.
[[nodiscard]] Status remove_below(FolderAt const& folder, std::string const& name);

/// True when nothing but folders is below.
[[nodiscard]] Result<bool> is_bare(FolderAt const& root, std::string const& folder);

}  // namespace homelab::cache
