#pragma once
// What clients call a model.
#include <string>

#include "base/result.h"
#include "registry/registry.h"

namespace homelab::api {

/// The registered name for what a client calls the model: its name, or the Hub id if exactly one
/// row has it. kNotFound, kInvalidArgument (several rows use it).
[[nodiscard]] Result<std::string> registered_name(registry::Registry& registry,
                                                  std::string const& wanted);

}  // namespace homelab::api
