#pragma once
// What an engine process gives up before it reads a model: its privileges, the network, other
// programs, every file it does not need (docs/decisions/0014).
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace homelab::engine_process {

using Path = std::filesystem::path;

struct SandboxNeeds {
  /// Files, and folders with all that links in them lead to; read only. What does not exist is left
  /// out.
  std::vector<Path> readable;
  /// Folders in which names may be removed, not made: an engine removes its socket at its end.
  std::vector<Path> removable;
};

/// What holds from now on. The kernel may lack some of it; that is no error, but it is reported.
struct SandboxState {
  bool no_new_privileges = false;  ///< no program gives this process rights it does not have
  bool no_tracing = false;         ///< no other process of this user looks into its memory
  bool few_capabilities = false;   ///< as root: only those that reading files and devices takes
  bool seccomp = false;  ///< no network, no other programs, no signals to others, no new files
  int landlock = 0;  ///< version of the kernel's file rules; 0 = it has none, nothing is limited

  [[nodiscard]] bool complete() const {
    return no_new_privileges && no_tracing && few_capabilities && seccomp && landlock > 0;
  }
};

/// For this thread and all that it starts (the system call filter: for all threads there are, too).
/// Cannot be taken back. Call it before other threads are started.
[[nodiscard]] SandboxState enter_sandbox(SandboxNeeds const& needs);

/// {"no_new_privileges": true, ..., "landlock": 7}
[[nodiscard]] json::object to_json(SandboxState const& state);

/// The line by which the server learns it: "sandbox: " and the JSON.
[[nodiscard]] std::string report_line(SandboxState const& state);

}  // namespace homelab::engine_process
