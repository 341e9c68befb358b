#pragma once
// One request on the loaded engine: its exchanges over the socket and the one reason for which it
// ends early.
//
// Order of events: everything a caller hears comes from the exchange's I/O loop, one after another;
// stop() only closes the socket, and the exchange's own end then tells the caller. The single
// exception is a broken connection: then the service loop decides whether the engine died, and
// speaks after the exchange's last word.
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>

#include "base/result.h"
#include "engine/engine_service.h"
#include "http/local_client.h"
#include "loaded_engine.h"
#include "performance.h"
#include "run_watch.h"
#include "turns.h"

namespace homelab::engine {

class EngineTask;

/// What a task needs from the service. Thread-safe.
class TaskHost {
 public:
  virtual ~TaskHost() = default;
  /// The connection broke without a reason of ours. The service answers with
  /// EngineTask::conclude().
  virtual void connection_broke(std::shared_ptr<EngineTask> task, Error error) = 0;
  /// The task was asked to stop before it had begun. The service answers with
  /// EngineTask::refuse(), if it has not begun meanwhile.
  virtual void stop_asked(std::shared_ptr<EngineTask> task) = 0;
  /// The task has told its caller the end.
  virtual void task_ended(std::shared_ptr<EngineTask> task) = 0;
};

class EngineTask : public Running, public std::enable_shared_from_this<EngineTask> {
 public:
  EngineTask(http::IoLoops& loops, std::shared_ptr<TaskHost> host)
      : loops_(loops), host_(std::move(host)) {}
  EngineTask(EngineTask const&) = delete;
  EngineTask& operator=(EngineTask const&) = delete;

  /// Service loop: its name in the service's books, given before anything else there.
  void set_ticket(Ticket ticket) { ticket_ = ticket; }
  [[nodiscard]] Ticket ticket() const { return ticket_; }
  /// Service loop: begins on this engine.
  void start(std::shared_ptr<LoadedEngine> engine);
  /// Ends it before it began.
  void refuse(Error error) { finish(std::move(error)); }
  /// Ends it early for `reason`; the first reason counts. Thread-safe.
  void stop(Error reason);
  void cancel() override { stop({Code::kCancelled, "the request was cancelled"}); }
  /// Service loop: the answer to connection_broke().
  void conclude(Error error) { finish(std::move(error)); }

  /// Why it was asked to stop; none if it was not. Thread-safe.
  [[nodiscard]] std::optional<Error> stop_reason() const;
  /// After the end: the engine did what it was asked for.
  [[nodiscard]] bool succeeded() const { return succeeded_; }

 protected:
  /// Starts the first exchange.
  virtual void begin() = 0;
  /// Tells the caller the end; nullopt = success. Called once.
  virtual void deliver(std::optional<Error> error) = 0;

  /// Starts an exchange with the engine; a task has one at a time.
  void exchange(http::LocalRequest request, http::LocalCallbacks callbacks);
  /// The task is over; the first call counts.
  void finish(std::optional<Error> error);
  /// An exchange ended badly: with stop()'s reason, else the service is asked.
  void broke(Error error);
  /// Null before start().
  [[nodiscard]] std::shared_ptr<LoadedEngine> const& engine() const { return engine_; }
  /// From the request to start().
  [[nodiscard]] double queue_wait_ms() const;

 private:
  using Clock = std::chrono::steady_clock;

  http::IoLoops& loops_;
  std::shared_ptr<TaskHost> const host_;
  Clock::time_point const submitted_at_ = Clock::now();
  Clock::time_point begun_at_{};  // set by start()
  Ticket ticket_ = 0;             // service loop only
  std::shared_ptr<LoadedEngine> engine_;
  std::atomic<bool> finished_{false};
  std::atomic<bool> succeeded_{false};
  mutable std::mutex mutex_;
  std::optional<Error> stop_reason_;               // guarded by mutex_
  std::shared_ptr<http::LocalExchange> exchange_;  // guarded by mutex_
  unsigned exchanges_ = 0;                         // guarded by mutex_; how many were started
};

/// A request of the engine's own dialect, passed through as it is.
class ForwardTask : public EngineTask {
 public:
  ForwardTask(http::IoLoops& loops, std::shared_ptr<TaskHost> host, http::LocalRequest request,
              http::LocalCallbacks callbacks)
      : EngineTask(loops, std::move(host)),
        request_(std::move(request)),
        callbacks_(std::move(callbacks)) {}

  /// Before it is started: the run is recorded if the request is one (tokenizing is none).
  /// `log_row` is called before on_done.
  void record(RunLabel label, LogRow log_row);

 protected:
  void begin() override;
  void deliver(std::optional<Error> error) override;

 private:
  void head(int status, http::Headers const& headers);
  void data(std::string_view bytes);
  void log_run(std::optional<Error> const& error);

  http::LocalRequest request_;
  http::LocalCallbacks callbacks_;
  RunLabel label_;
  LogRow log_row_;  // empty: nothing is measured
  PieceClock pieces_;
  AnswerEnds ends_;
  std::chrono::steady_clock::time_point sent_at_{};
  int status_ = 0;
  bool streams_ = false;
};

/// Does this path of the engine make a model work?
[[nodiscard]] bool is_run(std::string_view target);

}  // namespace homelab::engine
