#pragma once
// What every command gets.
#include "cli/cli.h"
#include "config/settings.h"
#include "output.h"

namespace homelab::cli {

struct Context {
  Hooks const& hooks;
  config::Settings const& settings;
  Output out;
};

}  // namespace homelab::cli
