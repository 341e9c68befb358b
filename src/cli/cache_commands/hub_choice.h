#pragma once
// Which hub folders a cache command works on.
#include <string>
#include <vector>

#include "../context.h"
#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cli {

/// Existing hub folders of a location, with the other layouts of its root; of the primary and the
/// secondary cache when `location` and `path` are empty. Each once.
[[nodiscard]] Result<std::vector<cache::Path>> chosen_hub_folders(Context const& context,
                                                                  std::string const& location,
                                                                  std::string const& path);

}  // namespace homelab::cli
