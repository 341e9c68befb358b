#pragma once
// A program in a process group of its own, which ends as one: programs such as vLLM are many
// processes.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/os/file.h"
#include "base/os/memory.h"
#include "base/os/process.h"
#include "base/result.h"

namespace homelab::engine {

/// Belongs to one thread at a time.
class ChildGroup {
 public:
  struct Start {
    std::string program;  ///< whole path
    std::vector<std::string> arguments;
    std::vector<std::pair<std::string, std::string>> environment;  ///< on top of ours
    os::UniqueFd output;
  };
  /// The kernel sends it SIGTERM when the calling thread ends: that thread must live as long as
  /// this. kNotFound, kPermissionDenied: the program cannot be executed.
  [[nodiscard]] static Result<std::unique_ptr<ChildGroup>> spawn(Start start);
  ChildGroup(ChildGroup const&) = delete;
  ChildGroup& operator=(ChildGroup const&) = delete;
  ~ChildGroup() { stop(std::chrono::milliseconds(0)); }

  /// Of the first process, which is also the group's.
  [[nodiscard]] int pid() const { return pid_; }
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  /// How the first process ended; then the others have been killed. nullopt after `timeout`.
  [[nodiscard]] std::optional<os::ExitStatus> wait(std::chrono::milliseconds timeout);
  /// SIGTERM to all, without waiting.
  void ask_to_stop();
  /// SIGTERM to all, at most `grace` (from ask_to_stop() on, if that was called) for the first
  /// process, then SIGKILL to all.
  os::ExitStatus stop(std::chrono::milliseconds grace);
  /// SIGKILL to all, without waiting.
  void kill() const;

 private:
  ChildGroup(int pid, os::UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  void signal(int number) const;

  int const pid_;
  os::UniqueFd const pidfd_;
  std::optional<os::ExitStatus> ended_;
  std::optional<std::chrono::steady_clock::time_point> asked_to_stop_;
};

/// What all processes of a group have in memory; shared pages are counted for each.
[[nodiscard]] os::ProcessMemory group_memory(int group);

/// `name` as PATH leads to it; a name with '/' stays as it is. kNotFound when it cannot be
/// executed.
[[nodiscard]] Result<std::string> find_program(std::string const& name);

}  // namespace homelab::engine
