#pragma once
// What the service watches of a loaded engine, ours or another one.
#include <chrono>
#include <optional>
#include <string>

#include "base/os/process.h"
#include "engine_log.h"

namespace homelab::engine {

/// Belongs to one thread at a time; only log() may be used by another one meanwhile.
class SupervisedProcess {
 public:
  SupervisedProcess() = default;
  SupervisedProcess(SupervisedProcess const&) = delete;
  SupervisedProcess& operator=(SupervisedProcess const&) = delete;
  /// Ends what still runs.
  virtual ~SupervisedProcess() = default;

  /// 0 for a server elsewhere.
  [[nodiscard]] virtual int pid() const = 0;
  /// Readable when it has ended.
  [[nodiscard]] virtual int pidfd() const = 0;
  [[nodiscard]] virtual EngineLog& log() = 0;
  /// How it ended; nullopt while it runs. Does not wait.
  [[nodiscard]] virtual std::optional<os::ExitStatus> ended() = 0;
  /// Why it ended, for people.
  [[nodiscard]] virtual std::string end_message(os::ExitStatus status) = 0;
  /// Begins to end it, politely and without waiting, so that several end side by side.
  virtual void ask_to_stop() = 0;
  /// Ends it: politely, and after `grace` (from ask_to_stop() on, if that was called) by force.
  virtual os::ExitStatus stop(std::chrono::milliseconds grace) = 0;
  /// It does not answer any more: it ends soon, for this reason. Does not wait.
  virtual void give_up(std::string const& why) = 0;
};

}  // namespace homelab::engine
