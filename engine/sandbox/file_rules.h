#pragma once
// Which files an engine may open: Landlock (landlock(7)).
#include <vector>

#include "sandbox/sandbox.h"

namespace homelab::engine_process {

/// Version of the kernel's Landlock; 0 = it has none, or it is switched off.
[[nodiscard]] int landlock_version();

/// The files and folders an engine may read because its libraries, drivers and the kernel's
/// information are there.
[[nodiscard]] std::vector<Path> system_files();

/// Limits this thread, and those it starts, to what `needs` and system_files() name, and to the
/// devices of GPUs. Gives the version in force; 0 = nothing is limited.
[[nodiscard]] int limit_files(SandboxNeeds const& needs);

}  // namespace homelab::engine_process
