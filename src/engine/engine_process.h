#pragma once
// One engine process: start, wait until it answers, notice its end, stop.
#include <signal.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/os/process.h"
#include "base/result.h"
#include "engine_arguments.h"
#include "engine_log.h"
#include "progress_watch.h"
#include "supervised_process.h"

namespace homelab::http {
class IoLoops;
}

namespace homelab::engine {

/// "ended with exit code 1: <reason>" or "was killed by signal 9 (Killed)...: <last messages>".
[[nodiscard]] std::string describe_end(os::ExitStatus status,
                                       std::vector<std::string> const& log_lines);

/// What is known of a process that hangs, for people: it did nothing for all the `patience`.
[[nodiscard]] std::string hang_message(SupervisedProcess& process,
                                       std::chrono::milliseconds patience);

/// Belongs to one thread at a time; only log() may be used by another one meanwhile.
class EngineProcess final : public SupervisedProcess {
 public:
  [[nodiscard]] static Result<std::unique_ptr<EngineProcess>> start(EngineStart const& start);
  /// Kills what still runs, removes the socket file.
  ~EngineProcess() override;

  [[nodiscard]] int pid() const override { return child_.pid(); }
  /// Readable when the process has ended.
  [[nodiscard]] int pidfd() const override { return child_.pidfd(); }
  [[nodiscard]] EngineLog& log() override { return log_; }
  [[nodiscard]] std::string const& socket() const { return socket_; }

  /// Blocks until /health says 200, as long as the engine gets on. Errors: kCancelled;
  /// kDeadlineExceeded when it did nothing for `patience`; kUnimplemented when the
  /// process ended by itself with its reason; kDataLoss when a signal ended it (ended() tells how).
  [[nodiscard]] Status wait_until_healthy(http::IoLoops& loops, std::chrono::milliseconds patience,
                                          std::function<bool()> const& cancelled);
  /// How it ended; nullopt while it runs. Does not wait.
  [[nodiscard]] std::optional<os::ExitStatus> ended() override {
    return child_.wait(std::chrono::milliseconds(0));
  }
  /// The text of describe_end() for a process that has ended.
  [[nodiscard]] std::string end_message(os::ExitStatus status) override;
  void ask_to_stop() override;
  /// SIGTERM, grace (from ask_to_stop() on, if that was called), SIGKILL.
  os::ExitStatus stop(std::chrono::milliseconds grace) override;
  void give_up(std::string const&) override { child_.signal(SIGKILL); }

 private:
  EngineProcess(os::ChildProcess child, os::UniqueFd log_pipe, EngineStart const& start);
  [[nodiscard]] bool hangs(ProgressWatch& progress) const;
  [[nodiscard]] Result<bool> ask_health(http::IoLoops& loops) const;

  os::ChildProcess child_;
  EngineLog log_;
  std::string socket_;
  std::optional<std::chrono::steady_clock::time_point> asked_to_stop_;
};

}  // namespace homelab::engine
