#pragma once
// Which hub folders a cache command works on.
#include <string>
#include <vector>

#include "../context.h"
#include "care/work.h"
#include "cli/settings_locations.h"

namespace homelab::cli {

/// Existing hub folders of a location, with the other layouts of its root; of all
/// locations when `location` and `path` are empty. Each once.
[[nodiscard]] inline Result<std::vector<cache::Path>> chosen_hub_folders(
    Context const& context, std::string const& location, std::string const& path) {
  return care::chosen_hub_folders(locations_of(context.settings), {location, path});
}

}  // namespace homelab::cli
