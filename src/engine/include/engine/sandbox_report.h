#pragma once
// What an engine process says about its sandbox when it starts (engine/sandbox/sandbox.h).
#include <optional>
#include <string_view>

namespace homelab::engine {

/// What holds; the kernel may lack some of it, and a person may have switched it off.
struct SandboxReport {
  bool no_new_privileges = false;
  bool no_tracing = false;
  bool few_capabilities = false;
  bool seccomp = false;
  int landlock = 0;  ///< version of the kernel's file rules; 0 = files are not limited

  [[nodiscard]] bool complete() const {
    return no_new_privileges && no_tracing && few_capabilities && seccomp && landlock > 0;
  }
  friend bool operator==(SandboxReport const&, SandboxReport const&) = default;
};

/// The line of the log that has it begins so.
inline constexpr std::string_view kSandboxMark = "sandbox: ";

/// Of that line; nullopt when it is another one or makes no sense.
[[nodiscard]] std::optional<SandboxReport> parse_sandbox_report(std::string_view line);

}  // namespace homelab::engine
