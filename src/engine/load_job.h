#pragma once
// The blocking part of one load: stop the previous engine, find or fetch the files, look at them,
// start the engine. Runs on the load thread, one at a time.
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "describe.h"
#include "engine/engine_service.h"
#include "job_list.h"
#include "loaded_engine.h"

namespace homelab::engine {

struct LoadOutcome {
  Result<registry::Model> model;
  std::shared_ptr<LoadedEngine> engine;  ///< set exactly when `model` is a value
};

class LoadJob {
 public:
  struct Start {
    registry::Model model;
    std::shared_ptr<LoadedEngine> previous;  ///< null when nothing was loaded
    std::int64_t job_id = 0;                 ///< in `jobs`
    std::uint64_t number = 0;                ///< makes socket and log names unique in this process
    /// What the engine program runs on; found by the first load that needs it. Load thread only.
    std::shared_ptr<std::optional<std::string>> device;
  };
  LoadJob(Options const& options, EngineService::Dependencies dependencies, JobList& jobs,
          Start start)
      : options_(options), dependencies_(dependencies), jobs_(jobs), start_(std::move(start)) {}

  /// Writes the row's state before, and the result after the attempt. Errors of the attempt never
  /// have the codes kNotFound, kFailedPrecondition or kInvalidArgument, which speak about the
  /// request: they become kInternal.
  [[nodiscard]] LoadOutcome run();
  /// Thread-safe; run() then ends soon with kCancelled.
  void cancel() { cancelled_ = true; }
  [[nodiscard]] std::int64_t id() const { return start_.job_id; }

 private:
  struct Files {
    cache::Path model_path;
    std::uint64_t total_bytes = 0;
    std::string commit, version, variant;  ///< empty for local files
  };
  [[nodiscard]] Result<LoadOutcome> attempt(std::optional<std::string> const& previous_status);
  [[nodiscard]] Result<Files> find_files();
  [[nodiscard]] Result<Files> find_in_cache();
  [[nodiscard]] Result<ModelFacts> look_at(Files const& files);
  [[nodiscard]] Result<std::string> device();
  [[nodiscard]] Result<std::shared_ptr<LoadedEngine>> start_engine(Files const& files,
                                                                   ModelFacts const& facts);
  void record_failure(Error const& error, std::optional<std::string> const& previous_status);
  [[nodiscard]] cache::Path file_named(std::uint64_t number, std::string_view suffix) const;
  void remove_old_logs() const;
  [[nodiscard]] std::function<bool()> cancelled() const;

  Options const& options_;
  EngineService::Dependencies const dependencies_;
  JobList& jobs_;
  Start const start_;
  std::atomic<bool> cancelled_{false};
  bool engine_crashed_ = false;
};

}  // namespace homelab::engine
