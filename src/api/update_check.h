#pragma once
// What an update check said, in the registry.
#include <optional>
#include <string>

#include "registry/registry.h"

namespace homelab::api {

/// kNotFound: no such model. See Registry::record_update_check.
[[nodiscard]] Result<registry::Model> record_check(registry::Registry& registry,
                                                   std::string const& name, bool available,
                                                   std::optional<std::string> const& local_commit);

}  // namespace homelab::api
