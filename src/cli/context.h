#pragma once
// What every command gets.
#include <optional>

#include "cache_owner.h"
#include "cli/cli.h"
#include "config/settings.h"
#include "output.h"

namespace homelab::cli {

struct Context {
  Hooks const& hooks;
  config::Settings const& settings;
  Output out;
  std::optional<CacheOwner> owner = {};  ///< whom this process became
};

}  // namespace homelab::cli
