#pragma once
// The location that a command's flags name.
#include <optional>
#include <string>

#include "cache/locations.h"
#include "cli/settings_locations.h"

namespace homelab::cli {

/// The location a command's --location and --path name. kInvalidArgument for custom without a path
/// and the reverse.
struct ChosenLocation {
  cache::LocationKind kind;
  cache::Locations::Resolved resolved;
};
[[nodiscard]] Result<ChosenLocation> choose_location(cache::Locations const& locations,
                                                     std::string const& location,
                                                     std::optional<std::string> const& path);

/// `text` as an absolute path; `~` is the user's home.
[[nodiscard]] std::string absolute_path(std::string const& text);

}  // namespace homelab::cli
