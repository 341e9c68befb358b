#pragma once
// The requests in hand: those that wait for their model, those that wait for their turn, and those
// that work. Service loop only.
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "engine_task.h"
#include "service_loop.h"
#include "turns.h"

namespace homelab::engine {

class TaskDesk {
 public:
  /// `thread_budget`: of all engines that work at the same time.
  TaskDesk(ServiceLoop& loop, unsigned thread_budget);

  [[nodiscard]] bool full() const;
  /// Keeps a task until its model is there.
  void take(Ticket ticket, std::shared_ptr<EngineTask> task);
  /// Its model is there: it begins when it is its turn.
  void begin(Ticket ticket, std::shared_ptr<LoadedEngine> engine);
  /// Ends a task that has not begun. Nothing happens if it is not in hand.
  void refuse(Ticket ticket, Error error);
  /// The task was asked to stop; one that has not begun ends here.
  void stop_asked(EngineTask const& task);
  /// The task has told its caller the end; those whose turn has come begin.
  void ended(EngineTask const& task);
  /// What is done about answers that an engine which is gone has sent and nobody has read yet.
  enum class Rest {
    kDropped,
    kRead,  ///< its tasks go on until their connections end, which ends them with its `ended`
  };
  /// This engine takes part no more: its tasks end with `reason`, those that had not begun, too.
  void engine_gone(LoadedEngine const& engine, Error const& reason, Rest rest = Rest::kDropped);
  /// A connection broke: the reason is that of the engine's death, if that is the reason.
  void connection_broke(std::shared_ptr<EngineTask> const& task, Error const& error);
  void stop_all(Error const& reason);

 private:
  struct InHand {
    std::shared_ptr<EngineTask> task;
    std::shared_ptr<LoadedEngine> engine;  ///< null while it waits for its model
    bool begun = false;
    std::optional<Error> broken;  ///< connection gone, engine perhaps too
  };
  void start(std::vector<Ticket> const& tickets);

  ServiceLoop& loop_;
  Turns turns_;
  std::map<Ticket, InHand> tasks_;
};

}  // namespace homelab::engine
