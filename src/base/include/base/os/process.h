#pragma once
// Child processes: posix_spawn and pidfd, no SIGCHLD handler.
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/os/file.h"
#include "base/result.h"

namespace homelab::os {

struct SpawnOptions {
  Path program;                                ///< absolute path
  std::vector<std::string> arguments;          ///< without argv[0]
  std::vector<std::string> extra_environment;  ///< "NAME=value", added to ours
  UniqueFd output;                             ///< becomes stdout and stderr; invalid = inherited
  /// Where the child must find the read end of the lifeline (see ChildProcess); -1 = no lifeline.
  int lifeline_fd = -1;
};

/// How a process ended.
struct ExitStatus {
  int code = 0;    ///< exit code, if signal == 0
  int signal = 0;  ///< signal number that ended it, else 0
  [[nodiscard]] bool ok() const { return code == 0 && signal == 0; }
};
/// "exit code 1" or "killed by signal 9 (Killed)".
[[nodiscard]] std::string to_string(ExitStatus status);

/// A running child. Destroying it kills and reaps the child if it still runs.
///
/// Lifeline: with lifeline_fd set, the child inherits the read end of a pipe under that number; we
/// hold the write end. When this process dies in any way, the child reads end-of-file and can end
/// itself.
class ChildProcess {
 public:
  [[nodiscard]] static Result<ChildProcess> spawn(SpawnOptions options);

  ChildProcess(ChildProcess&&) noexcept;
  ChildProcess& operator=(ChildProcess&&) noexcept;
  ~ChildProcess();

  [[nodiscard]] int pid() const { return pid_; }
  /// Becomes readable when the child ends.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  /// Sends a signal; never hits a recycled pid.
  void signal(int number) const;
  /// Waits at most `timeout`; nullopt when it still runs. The status is kept for later calls.
  /// Exit code 255 also stands for "ended, but somebody else took its status".
  [[nodiscard]] std::optional<ExitStatus> wait(std::chrono::milliseconds timeout);
  /// SIGTERM, at most `grace`, then SIGKILL; gives how it ended.
  ExitStatus stop(std::chrono::milliseconds grace);

 private:
  ChildProcess() = default;
  int pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd lifeline_;
  std::optional<ExitStatus> ended_;
};

/// Path of the running executable.
[[nodiscard]] Path self_path();
/// Cores this process may use (affinity and cgroup quota), at least 1.
[[nodiscard]] unsigned usable_cores();
/// Resident memory of a process in bytes; nullopt when it is gone.
[[nodiscard]] std::optional<std::uint64_t> resident_bytes(int pid);

}  // namespace homelab::os
