#pragma once
// Exit codes of the program (docs/cli.md): the one table from an error's code to a process's
// answer.
#include "base/result.h"

namespace homelab::cli {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

/// Input that can never work is wrong usage; everything else is a failure.
[[nodiscard]] constexpr int exit_code(Code code) {
  return code == Code::kInvalidArgument ? kExitUsage : kExitFailed;
}

}  // namespace homelab::cli
