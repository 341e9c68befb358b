#pragma once
// Tries what an engine must not be able to do.
#include "base/json.h"

namespace homelab::engine_process {

/// By name, whether the attempt was refused by the sandbox: {"tcp": true, "write": true, ...}.
/// Harmless where it is not: nothing stays behind.
[[nodiscard]] json::object try_forbidden();

}  // namespace homelab::engine_process
