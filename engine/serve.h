#pragma once
#include <string>
#include <vector>

#include "base/result.h"

namespace homelab::engine_process {

/// Runs llama-server's core with these arguments until it is told to stop (SIGINT, SIGTERM,
/// lifeline). Errors: one line that says why no model could be served.
[[nodiscard]] Status serve(std::vector<std::string> const& arguments);

}  // namespace homelab::engine_process
