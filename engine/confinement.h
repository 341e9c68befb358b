#pragma once
// Enters the sandbox with what this engine's arguments name.
#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/sandbox.h"

namespace homelab::engine_process {

/// The files and folders that the arguments name (the model, a projector, a template, ...) and the
/// program's own libraries may be read; `removable` as in SandboxNeeds. Errors: the libraries'
/// folder is unknown.
[[nodiscard]] Result<SandboxState> confine(std::vector<std::string> const& arguments,
                                           std::vector<Path> removable);

}  // namespace homelab::engine_process
