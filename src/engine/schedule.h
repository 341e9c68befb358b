#pragma once
// Which models are loaded, and when one comes or goes: events in, effects out. Pure: no process, no
// thread, no clock.
//
// Loads are served one after another. A load of the original's kind (Place::kInstead) takes the
// place of "the loaded model"; one on demand comes beside it when there is room, else in the place
// of what was idle longest. Every ticket that comes in leaves in exactly one Answer; a use that was
// answered with Reply::kUse lasts until use_ended().
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "admission.h"
#include "engine/engine_service.h"
#include "turns.h"

namespace homelab::engine {

using Seconds = std::chrono::seconds;

/// Begin the load.
struct StartLoad {
  std::string model;
  bool force = false;
  Place place = Place::kInstead;
  friend bool operator==(StartLoad const&, StartLoad const&) = default;
};
/// Make the running load end soon; load_ended() is still expected.
struct CancelLoad {
  friend bool operator==(CancelLoad const&, CancelLoad const&) = default;
};
/// Stop this engine; engine_stopped() is expected.
struct StopEngine {
  std::string model;
  friend bool operator==(StopEngine const&, StopEngine const&) = default;
};
/// Measure the memory; room_measured() is expected.
struct MeasureRoom {
  friend bool operator==(MeasureRoom const&, MeasureRoom const&) = default;
};
/// The running load may go on once these have been stopped; they are not loaded any more.
struct GrantRoom {
  std::vector<std::string> leaving;
  friend bool operator==(GrantRoom const&, GrantRoom const&) = default;
};
/// There cannot be room for the running load.
struct DenyRoom {
  friend bool operator==(DenyRoom const&, DenyRoom const&) = default;
};
enum class Reply {
  kLoadOutcome,    ///< with what the load that just ended gave
  kAlreadyLoaded,  ///< the model is loaded
  kUse,            ///< the model is loaded, and stays so until use_ended()
  kUnloaded,       ///< `model` went
  kNothingLoaded,
  kBackingOff,  ///< its last load failed a moment ago: see retry_after()
  kTooMany,     ///< the queue is at its bound
  kShuttingDown,
};
struct Answer {
  Ticket ticket = 0;
  Reply reply = Reply::kLoadOutcome;
  std::string model;
  friend bool operator==(Answer const&, Answer const&) = default;
};
using Effect =
    std::variant<StartLoad, CancelLoad, StopEngine, MeasureRoom, GrantRoom, DenyRoom, Answer>;
using Effects = std::vector<Effect>;

struct ScheduleOptions {
  std::size_t max_waiting = 256;
  std::size_t max_models = 1;         ///< loaded at once
  Seconds keep_alive{0};              ///< idle time before a model is unloaded; 0 = for ever
  std::set<std::string> pinned = {};  ///< models that never go by themselves
  std::chrono::milliseconds max_wait{20'000};  ///< that a load waits for models that are in use
  std::chrono::milliseconds linger{2'000};     ///< after a use a model still counts as in use
  std::chrono::milliseconds first_retry{5'000};
  std::chrono::milliseconds longest_retry{300'000};
};

class Schedule {
 public:
  explicit Schedule(ScheduleOptions options = {}) : options_(std::move(options)) {}

  /// Joins the running load of the same model unless this request forces and that one does not.
  [[nodiscard]] Effects load_requested(Ticket ticket, std::string const& model, bool force,
                                       Place place = Place::kInstead);
  /// A request wants to run on `model` (empty: "the loaded model"), which is loaded if need be.
  /// `keep_alive`: idle time after this use; negative = for ever; none = as configured.
  [[nodiscard]] Effects use_requested(Ticket ticket, std::string const& model, Time now,
                                      std::optional<Seconds> keep_alive = std::nullopt);
  /// A use is over (`good`: the engine did what it should), or is not wanted any more.
  [[nodiscard]] Effects use_ended(Ticket ticket, bool good, Time now);
  /// Unloads `model` (empty: "the loaded model"), or cancels its load.
  [[nodiscard]] Effects unload_requested(Ticket ticket, std::string const& model = {});

  /// StartLoad passed its checks. With Place::kInstead, what "the loaded model" was is being
  /// stopped and is no longer in use.
  void load_began();
  /// The running load knows how much memory it needs.
  [[nodiscard]] Effects room_wanted(std::uint64_t needed_bytes, Time now);
  /// What is free now, what would come free with each loaded model, and how much of both the
  /// loaded models have not taken yet, but will.
  [[nodiscard]] Effects room_measured(std::uint64_t free_bytes,
                                      std::map<std::string, std::uint64_t> const& resident_bytes,
                                      Time now, std::uint64_t promised_bytes = 0);
  /// The load that StartLoad began is over; kRefused = before load_began(); kCancelled says nothing
  /// about the model.
  /// kDied: its engine died or hung, which is more than kFailed.
  enum class LoadResult { kLoaded, kFailed, kDied, kRefused, kCancelled };
  [[nodiscard]] Effects load_ended(LoadResult result, Time now);
  [[nodiscard]] Effects engine_stopped(std::string const& model);
  /// A loaded engine ended by itself.
  [[nodiscard]] Effects engine_died(std::string const& model, Time now);
  /// Time has passed.
  [[nodiscard]] Effects tick(Time now);
  /// The time after `now` when tick() may have something to do; none = not before another event.
  [[nodiscard]] std::optional<Time> next_tick(Time now) const;
  /// Answers everybody who waits in line and cancels a running load; what is loaded stays. Later
  /// requests are refused.
  [[nodiscard]] Effects shutdown_requested();
  /// Stops what is loaded, for nobody's ticket.
  [[nodiscard]] Effects stop_requested();

  /// True while this model is loaded, loading or waiting to be loaded.
  [[nodiscard]] bool in_use(std::string const& model) const;
  /// "The loaded model" of the original's view; empty if there is none.
  [[nodiscard]] std::string const& current() const { return current_; }
  [[nodiscard]] bool is_pinned(std::string const& model) const {
    return options_.pinned.contains(model);
  }
  /// How long use_requested() will refuse a model whose load failed.
  [[nodiscard]] std::chrono::milliseconds retry_after(std::string const& model, Time now) const;
  /// How long load_requested() without force is not to be called: the engine died at two loads or
  /// more, one after the other.
  [[nodiscard]] std::chrono::milliseconds load_retry_after(std::string const& model,
                                                           Time now) const;
  /// Somebody insists: what failed before does not count any more.
  void forget_failures(std::string const& model) { retries_.erase(model); }
  /// Until when they are refused, by model; times may be over.
  [[nodiscard]] std::map<std::string, Time> retry_times() const;
  /// Nothing is loaded, loading or stopping.
  [[nodiscard]] bool idle() const { return residents_.empty() && !load_; }

 private:
  struct Loaded {
    bool stopping = false;
    std::set<Ticket> uses;
    std::vector<Ticket> unloads;  ///< answered when it is gone
    Time last_used;
    Time lingers_until;
    std::optional<Seconds> keep_alive;  ///< none = for ever
  };
  struct Waiting {
    std::string model;
    bool force = false;
    Place place = Place::kInstead;
    std::vector<Ticket> loads;
    std::map<Ticket, std::optional<Seconds>> uses;  ///< with their keep_alive
  };
  struct Room {
    std::uint64_t needed_bytes = 0;
    Time since;
  };
  struct Running {
    Waiting what;
    bool cancelling = false;
    std::vector<Ticket> unloads;  ///< answered when it has ended and is not loaded
    std::optional<Room> room;     ///< asked for, and not yet decided
  };
  struct Retry {
    Time until;
    std::chrono::milliseconds delay;
    unsigned deaths = 0;  ///< of its engine while it was loaded, one after the other
  };
  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] bool joins_running(std::string const& model, bool force, Place place) const;
  [[nodiscard]] bool is_up(std::string const& model) const;
  [[nodiscard]] bool must_rest(std::string const& model) const { return resting_.contains(model); }
  [[nodiscard]] bool anything_stopping() const;
  [[nodiscard]] std::optional<Seconds> idle_time(std::optional<Seconds> wanted) const;
  [[nodiscard]] Answer use(Ticket ticket, std::string const& model,
                           std::optional<Seconds> keep_alive);
  void make_current(Effects& effects, std::string const& model);
  void start_next(Effects& effects);
  void stop(Effects& effects, std::string const& model);
  void forget(Effects& effects, std::string const& model);
  void ask_for_room(Effects& effects) const;
  void unload_idle(Effects& effects, Time now);
  void back_off(std::string const& model, Time now);

  ScheduleOptions const options_;
  bool shutting_down_ = false;
  std::string current_;
  std::map<std::string, Loaded> residents_;
  std::optional<Running> load_;
  std::set<std::string> resting_;  ///< take no new uses, so that the running load gets its room
  std::deque<Waiting> queue_;
  std::map<std::string, Retry> retries_;
};

}  // namespace homelab::engine
