#pragma once
// Long work as jobs: a bounded list, done one after the other in the background.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"

namespace homelab::jobs {

enum class JobState { kQueued, kRunning, kSucceeded, kFailed, kCancelled };
[[nodiscard]] std::string_view to_string(JobState state);  ///< "queued", ...
/// True when it will not change any more.
[[nodiscard]] bool is_ended(JobState state);

/// How far a job is. Totals are 0 while nobody knows them.
struct JobProgress {
  std::string what;  ///< "Checking", for people
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t done_files = 0;
  std::uint64_t total_files = 0;
};

/// What a job gave that ran to its end, or until it was told to stop.
struct JobResult {
  json::value value;
  /// False: it did what it could, but something is wrong or was left out; `value` says what.
  bool complete = true;
};

struct Job {
  std::string id;
  std::string kind;
  json::object request;
  JobState state = JobState::kQueued;
  UtcTime created{};
  std::optional<UtcTime> started;
  std::optional<UtcTime> ended;
  JobProgress progress;
  std::vector<std::string> remarks;  ///< the first 100
  std::optional<JobResult> result;   ///< of a cancelled job too, when it gave one
  std::optional<Error> error;        ///< of a failed or cancelled job
  std::optional<std::string> retry_of;
};

/// What a running job knows of its book. Thread-safe.
class JobControl {
 public:
  virtual ~JobControl() = default;
  /// True: end soon, with kCancelled or with a result of what was done.
  [[nodiscard]] virtual bool is_cancelled() const = 0;
  virtual void show(JobProgress progress) = 0;
  virtual void remark(std::string words) = 0;
};
/// Called on the book's thread, once for each try. May throw: then the job failed.
using JobWork = std::function<Result<JobResult>(JobControl&)>;

/// All functions are thread-safe. What jobs use must outlive shutdown().
class JobBook {
 public:
  struct Options {
    std::size_t kept = 200;    ///< ended jobs that can still be asked for
    std::size_t queued = 100;  ///< jobs that wait
    /// Of results in all; older ended jobs go first, the newest stays in any case.
    std::size_t result_bytes = std::size_t{64} << 20U;
    /// Watchers hear of progress at most this often; of everything else at once.
    std::chrono::milliseconds watch_every{100};
  };

  JobBook() : JobBook(Options{}) {}
  explicit JobBook(Options options);
  ~JobBook();  ///< shutdown()
  JobBook(JobBook const&) = delete;
  JobBook& operator=(JobBook const&) = delete;

  /// kUnavailable: too many jobs wait, or the book is closed.
  [[nodiscard]] Result<Job> add(std::string kind, json::object request, JobWork work);
  /// kNotFound for an id that never was or is forgotten.
  [[nodiscard]] Result<Job> find(std::string_view id) const;
  /// Newest first, without results.
  [[nodiscard]] std::vector<Job> list() const;

  /// A queued job ends at once; a running one is told to stop and ends when it can. An ended one
  /// stays as it is. Gives the job as it is then. kNotFound.
  [[nodiscard]] Result<Job> cancel(std::string_view id);
  /// The same work again as a new job. kNotFound; kFailedPrecondition while it has not ended;
  /// kUnavailable as add().
  [[nodiscard]] Result<Job> retry(std::string_view id);

  /// Calls `seen` with the job as it is now, then with each change, the last time when it has
  /// ended; gives up when `seen` returns false. In order, on any thread, under the book's lock: it
  /// must not block, throw or call the book. kNotFound.
  using Watcher = std::function<bool(Job const&)>;
  [[nodiscard]] Status watch(std::string_view id, Watcher seen);

  /// Cancels everything and refuses new jobs. Does not wait. Idempotent.
  void close();
  /// The same, and waits for the running job. Idempotent.
  void shutdown();

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace homelab::jobs
