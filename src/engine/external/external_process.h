#pragma once
// The two kinds of external engines as the service watches them.
#include <memory>
#include <string>

#include "../supervised_process.h"
#include "child_group.h"

namespace homelab::engine {

/// A program that was started for a model.
class ExternalProcess final : public SupervisedProcess {
 public:
  /// `what`: the engine's name, for messages.
  [[nodiscard]] static Result<std::unique_ptr<ExternalProcess>> start(std::string what,
                                                                      ChildGroup::Start start,
                                                                      os::Path log_file);
  [[nodiscard]] int pid() const override { return group_->pid(); }
  [[nodiscard]] int pidfd() const override { return group_->pidfd(); }
  [[nodiscard]] EngineLog& log() override { return log_; }
  [[nodiscard]] std::optional<os::ExitStatus> ended() override {
    return group_->wait(std::chrono::milliseconds(0));
  }
  /// As ended(), but waits.
  [[nodiscard]] std::optional<os::ExitStatus> wait(std::chrono::milliseconds timeout) {
    return group_->wait(timeout);
  }
  [[nodiscard]] std::string end_message(os::ExitStatus status) override;
  void ask_to_stop() override { group_->ask_to_stop(); }
  os::ExitStatus stop(std::chrono::milliseconds grace) override { return group_->stop(grace); }
  void give_up(std::string const& why) override;

 private:
  ExternalProcess(std::string what, std::unique_ptr<ChildGroup> group, os::UniqueFd log_pipe,
                  os::Path log_file);
  std::string const what_;
  std::unique_ptr<ChildGroup> const group_;
  EngineLog log_;
  std::string given_up_;
};

/// A server that runs already: there is nothing to end, but it can be lost.
class RemoteServer final : public SupervisedProcess {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RemoteServer>> create(os::Path log_file);
  [[nodiscard]] int pid() const override { return 0; }
  [[nodiscard]] int pidfd() const override { return lost_.fd(); }
  [[nodiscard]] EngineLog& log() override { return log_; }
  [[nodiscard]] std::optional<os::ExitStatus> ended() override;
  [[nodiscard]] std::string end_message(os::ExitStatus status) override;
  void ask_to_stop() override {}
  os::ExitStatus stop(std::chrono::milliseconds) override { return {}; }
  void give_up(std::string const& why) override;

 private:
  RemoteServer(os::WakeUp lost, os::Pipe pipe, os::Path log_file);
  os::WakeUp const lost_;
  os::UniqueFd const log_writer_;  ///< open, so that the log does not look ended
  EngineLog log_;
  std::string given_up_;
};

}  // namespace homelab::engine
