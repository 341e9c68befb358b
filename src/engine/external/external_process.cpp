#include "external_process.h"

#include <fmt/format.h>

#include <utility>

#include "../engine_process.h"

namespace homelab::engine {

Result<std::unique_ptr<ExternalProcess>> ExternalProcess::start(std::string what,
                                                                ChildGroup::Start start,
                                                                os::Path log_file) {
  ASSIGN_OR_RETURN(os::Pipe pipe, os::make_pipe());
  start.output = std::move(pipe.write_end);
  ASSIGN_OR_RETURN(auto group, ChildGroup::spawn(std::move(start)));
  return std::unique_ptr<ExternalProcess>(new ExternalProcess(
      std::move(what), std::move(group), std::move(pipe.read_end), std::move(log_file)));
}

ExternalProcess::ExternalProcess(std::string what, std::unique_ptr<ChildGroup> group,
                                 os::UniqueFd log_pipe, os::Path log_file)
    : what_(std::move(what)),
      group_(std::move(group)),
      log_(std::move(log_pipe), std::move(log_file)) {}

std::string ExternalProcess::end_message(os::ExitStatus status) {
  log_.drain();
  if (given_up_.empty()) return fmt::format("{} {}", what_, describe_end(status, log_.lines()));
  auto const last = reason_in(log_.lines());
  return last.empty() ? given_up_ : fmt::format("{}; its last messages: {}", given_up_, last);
}

void ExternalProcess::give_up(std::string const& why) {
  if (!given_up_.empty()) return;
  given_up_ = why;
  group_->kill();
}

Result<std::unique_ptr<RemoteServer>> RemoteServer::create(os::Path log_file) {
  ASSIGN_OR_RETURN(auto lost, os::WakeUp::create());
  ASSIGN_OR_RETURN(os::Pipe pipe, os::make_pipe());
  return std::unique_ptr<RemoteServer>(
      new RemoteServer(std::move(lost), std::move(pipe), std::move(log_file)));
}

RemoteServer::RemoteServer(os::WakeUp lost, os::Pipe pipe, os::Path log_file)
    : lost_(std::move(lost)),
      log_writer_(std::move(pipe.write_end)),
      log_(std::move(pipe.read_end), std::move(log_file)) {}

std::optional<os::ExitStatus> RemoteServer::ended() {
  if (given_up_.empty()) return std::nullopt;
  return os::ExitStatus{1, 0};
}

std::string RemoteServer::end_message(os::ExitStatus) { return given_up_; }

void RemoteServer::give_up(std::string const& why) {
  if (!given_up_.empty()) return;
  given_up_ = why;
  lost_.notify();
}

}  // namespace homelab::engine
