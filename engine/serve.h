#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace homelab::engine_process {

struct ServeOptions {
  std::optional<int> lifeline_fd;  ///< see lifeline.h
  bool sandbox = true;             ///< see sandbox/sandbox.h
};

/// Runs llama-server's core with these arguments until it is told to stop (SIGINT, SIGTERM,
/// lifeline). Errors: one line that says why no model could be served.
[[nodiscard]] Status serve(std::vector<std::string> const& arguments, ServeOptions const& options);

}  // namespace homelab::engine_process
