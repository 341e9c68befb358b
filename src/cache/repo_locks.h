#pragma once
// Every lock of one repository at once. Private to the cache module.
#include <string>
#include <vector>

#include "base/os/file_lock.h"
#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cache {

/// All lock files of the repository that exist, taken; tried once. kAborted names the one that some
/// program holds.
[[nodiscard]] Result<std::vector<os::FileLock>> take_repo_locks(
    Path const& hub_folder, std::string const& repo_folder_name);

}  // namespace homelab::cache
