#pragma once
// Cache locations as the settings name them: the one place where config meets cache, for the
// commands and the server.
#include "cache/locations.h"
#include "config/settings.h"

namespace homelab::cli {

/// Reads only the settings; no folder is looked at or made.
[[nodiscard]] cache::Locations locations_of(config::Settings const& settings);

}  // namespace homelab::cli
