#pragma once
// The location that a command's flags name.
#include "care/work.h"
#include "cli/settings_locations.h"

namespace homelab::cli {

using care::absolute_path;
using care::choose_location;
using care::ChosenLocation;

}  // namespace homelab::cli
