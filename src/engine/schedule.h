#pragma once
// Who may use the one place for a model, and when: events in, effects out. Pure: no process, no
// thread, no clock.
//
// Requests are served one after another. Every ticket that comes in leaves in exactly one Answer.
#include <cstdint>
#include <deque>
#include <string>
#include <variant>
#include <vector>

namespace homelab::engine {

/// Names one waiting caller.
using Ticket = std::uint64_t;

/// Begin the load; whatever is loaded is stopped as its first step.
struct StartLoad {
  std::string model;
  bool force = false;
  friend bool operator==(StartLoad const&, StartLoad const&) = default;
};
/// Make the running load end soon; load_ended() is still expected.
struct CancelLoad {
  friend bool operator==(CancelLoad const&, CancelLoad const&) = default;
};
/// Stop the loaded engine; engine_stopped() is expected.
struct StopEngine {
  friend bool operator==(StopEngine const&, StopEngine const&) = default;
};
enum class Reply {
  kLoadOutcome,    ///< with what the load that just ended gave
  kAlreadyLoaded,  ///< the model is loaded
  kUnloaded,       ///< with the name of the model that went
  kNothingLoaded,
  kTooMany,  ///< the queue is at its bound
  kShuttingDown,
};
struct Answer {
  Ticket ticket = 0;
  Reply reply = Reply::kLoadOutcome;
  friend bool operator==(Answer const&, Answer const&) = default;
};
using Effect = std::variant<StartLoad, CancelLoad, StopEngine, Answer>;
using Effects = std::vector<Effect>;

class Schedule {
 public:
  explicit Schedule(std::size_t max_waiting = 256) : max_waiting_(max_waiting) {}

  /// Joins the running load of the same model unless this request forces and that one does not.
  [[nodiscard]] Effects load_requested(Ticket ticket, std::string const& model, bool force);
  /// Unloads; during a load it cancels that load.
  [[nodiscard]] Effects unload_requested(Ticket ticket);
  /// StartLoad passed its checks: what was loaded before is being stopped and is no longer in use.
  void load_began();
  /// The load that StartLoad began is over; kRefused = before load_began(), so what was loaded
  /// still is.
  enum class LoadResult { kLoaded, kFailed, kRefused };
  [[nodiscard]] Effects load_ended(LoadResult result);
  [[nodiscard]] Effects engine_stopped();
  /// The loaded engine ended by itself.
  [[nodiscard]] Effects engine_died();
  /// Answers everybody who waits in line and cancels a running load; what is loaded stays. Later
  /// requests are refused.
  [[nodiscard]] Effects shutdown_requested();
  /// Stops what is loaded, for nobody's ticket.
  [[nodiscard]] Effects stop_requested();

  /// True while this model is loaded, loading or waiting to be loaded.
  [[nodiscard]] bool in_use(std::string const& model) const;
  /// Nothing is loaded, loading or stopping.
  [[nodiscard]] bool idle() const { return phase_ == Phase::kEmpty; }

 private:
  /// A request for the model that is being loaded right now waits for that load.
  [[nodiscard]] bool joins_current(std::string const& model, bool force) const;
  enum class Phase { kEmpty, kLoading, kLoaded, kStopping };
  struct Waiting {
    std::string model;
    bool force = false;
    std::vector<Ticket> tickets;
  };
  [[nodiscard]] std::size_t waiting() const;
  void start_next(Effects& effects);
  void stop(Effects& effects);

  std::size_t max_waiting_;
  Phase phase_ = Phase::kEmpty;
  bool shutting_down_ = false;
  bool cancelling_ = false;
  std::string loaded_;           ///< model of kLoaded and kStopping; during kLoading the one before
  Waiting current_;              ///< of kLoading
  std::vector<Ticket> unloads_;  ///< answered when nothing is loaded any more
  std::deque<Waiting> queue_;
};

}  // namespace homelab::engine
