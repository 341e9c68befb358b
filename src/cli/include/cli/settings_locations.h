#pragma once
// Cache locations as the settings name them: the one place where config meets cache, for the
// commands and the server.
#include "cache/locations.h"
#include "config/settings.h"
#include "hub/downloader.h"

namespace homelab::cli {

/// Reads the settings and this process's mounts (design §3); no folder is made.
[[nodiscard]] cache::Locations locations_of(config::Settings const& settings);

/// By what this process sees of itself (cache/mounts.h); also true when it only looks like one.
[[nodiscard]] bool is_in_container();

/// What a download must leave free, and that it is refused where it would not last.
[[nodiscard]] hub::Downloader::Options download_options_of(config::Settings const& settings);

}  // namespace homelab::cli
