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
#include "supervised_process.h"

namespace homelab::http {
class IoLoops;
}

namespace homelab::engine {

/// "ended with exit code 1: <reason>" or "was killed by signal 9 (Killed)...: <last messages>".
[[nodiscard]] std::string describe_end(os::ExitStatus status,
                                       std::vector<std::string> const& log_lines);

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

  /// Blocks until /health says 200. Errors: kCancelled, kDeadlineExceeded; kUnimplemented when the
  /// process ended by itself with its reason; kDataLoss when a signal ended it (ended() tells how).
  [[nodiscard]] Status wait_until_healthy(http::IoLoops& loops, std::chrono::milliseconds timeout,
                                          std::function<bool()> const& cancelled);
  /// How it ended; nullopt while it runs. Does not wait.
  [[nodiscard]] std::optional<os::ExitStatus> ended() override {
    return child_.wait(std::chrono::milliseconds(0));
  }
  /// The text of describe_end() for a process that has ended.
  [[nodiscard]] std::string end_message(os::ExitStatus status) override;
  /// SIGTERM, grace, SIGKILL.
  os::ExitStatus stop(std::chrono::milliseconds grace) override;
  void give_up(std::string const&) override { child_.signal(SIGKILL); }

 private:
  EngineProcess(os::ChildProcess child, os::UniqueFd log_pipe, EngineStart const& start);
  [[nodiscard]] Result<bool> ask_health(http::IoLoops& loops) const;

  os::ChildProcess child_;
  EngineLog log_;
  std::string socket_;
};

}  // namespace homelab::engine
