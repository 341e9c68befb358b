#pragma once
// What speaks for this process being in a container.
#include "cache/mounts.h"

namespace homelab::cli {

/// Looks at the process's own environment (never at .env, which the host reads as well) and at the
/// files that container engines leave.
[[nodiscard]] cache::ContainerHints container_hints();

}  // namespace homelab::cli
