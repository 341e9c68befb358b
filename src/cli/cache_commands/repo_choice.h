#pragma once
// Which repository folders a command's words mean.
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cli {

/// Repository folders below `hub_folders`, sorted, each once whatever links lead to it. `words`:
/// "ORG/NAME" (every type of that name), "datasets/ORG/NAME", a folder's name; empty = all.
/// kNotFound names the word that means nothing.
[[nodiscard]] Result<std::vector<cache::Path>> chosen_repo_folders(
    std::vector<cache::Path> const& hub_folders, std::vector<std::string> const& words);

}  // namespace homelab::cli
