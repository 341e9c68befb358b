#pragma once
// The blocking part of one load: stop the previous engine, find or fetch the files, look at them,
// get room, start the engine. Runs on the load thread, one at a time.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "describe.h"
#include "engine/engine_service.h"
#include "engine_arguments.h"
#include "external/external_command.h"
#include "external/external_process.h"
#include "job_list.h"
#include "load_config.h"
#include "loaded_engine.h"
#include "log_book.h"
#include "memory_book.h"

namespace homelab::engine {

struct LoadOutcome {
  Result<registry::Model> model;
  std::shared_ptr<LoadedEngine> engine;  ///< set exactly when `model` is a value
  bool engine_failed = false;  ///< the engine's program died or hung, not something before it
};

class LoadJob {
 public:
  /// Waits until there is room for so many bytes. Gives the engines that have to be stopped first,
  /// which are out of service already. Errors: kResourceExhausted (never room), kCancelled.
  using MakeRoom =
      std::function<Result<std::vector<std::shared_ptr<LoadedEngine>>>(std::uint64_t bytes)>;
  struct Start {
    registry::Model model;
    std::shared_ptr<LoadedEngine> previous;  ///< null when nothing was loaded
    std::int64_t job_id = 0;                 ///< in `jobs`
    std::uint64_t number = 0;                ///< makes socket and log names unique in this process
    /// What the engine program runs on; found by the first load that needs it. Load thread only.
    std::shared_ptr<std::optional<std::string>> device;
    MakeRoom make_room;
    bool any_size = false;            ///< load it even if it will hardly fit
    LoadConfig config{};              ///< of the row
    http::Client* outside = nullptr;  ///< set when the row names an external engine
    std::shared_ptr<LogBook> logs = std::make_shared<LogBook>();
  };
  LoadJob(Options const& options, EngineService::Dependencies dependencies, JobList& jobs,
          MemoryBook const& memory, Start start)
      : options_(options),
        dependencies_(dependencies),
        jobs_(jobs),
        memory_(memory),
        start_(std::move(start)) {}

  /// Writes the row's state before, and the result after the attempt. Errors of the attempt never
  /// have the codes kNotFound, kFailedPrecondition or kInvalidArgument, which speak about the
  /// request: they become kInternal.
  [[nodiscard]] LoadOutcome run();
  /// Thread-safe; run() then ends soon with kCancelled.
  void cancel() { cancelled_ = true; }
  [[nodiscard]] bool is_cancelled() const { return cancelled_; }
  [[nodiscard]] std::int64_t id() const { return start_.job_id; }

 private:
  struct Files {
    cache::Path model_path;
    std::uint64_t total_bytes = 0;
    std::string commit, version, variant;  ///< empty for local files
    cache::Path folder;                    ///< the snapshot; empty for local files
  };
  [[nodiscard]] Result<LoadOutcome> attempt(std::optional<std::string> const& previous_status);
  [[nodiscard]] Result<Files> find_files();
  [[nodiscard]] Result<Files> find_in_cache();
  [[nodiscard]] Result<ModelFacts> look_at(Files const& files);
  [[nodiscard]] Result<std::string> device(int gpu_layers);
  [[nodiscard]] Status check_config(Files const& files, ModelFacts const& facts);
  [[nodiscard]] EngineStart engine_start(Files const& files, ModelFacts const& facts) const;
  [[nodiscard]] Result<std::shared_ptr<LoadedEngine>> start_engine(Files const& files,
                                                                   ModelFacts const& facts);
  /// Gives how much memory it was.
  [[nodiscard]] Result<std::uint64_t> make_room(EngineShape const& shape, Prediction prediction);
  // external/external_load.cpp: the engine that the row names instead of ours.
  [[nodiscard]] Result<LoadOutcome> attempt_external(
      std::optional<std::string> const& previous_status);
  [[nodiscard]] Result<std::shared_ptr<LoadedEngine>> reach_server(ExternalEngine const& chosen);
  [[nodiscard]] Result<std::shared_ptr<LoadedEngine>> start_command(ExternalEngine const& chosen,
                                                                    Files const& files);
  [[nodiscard]] Result<Words> words_of(ExternalEngine const& chosen, Files const& files) const;
  [[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> hub_variables(
      Files const& files) const;
  [[nodiscard]] std::shared_ptr<LoadedEngine> external_engine(ExternalEngine const& chosen,
                                                              Remote remote) const;
  void record_failure(Error const& error, std::optional<std::string> const& previous_status);
  [[nodiscard]] cache::Path file_named(std::uint64_t number, std::string_view suffix) const;
  [[nodiscard]] std::function<bool()> cancelled() const;

  Options const& options_;
  EngineService::Dependencies const dependencies_;
  JobList& jobs_;
  MemoryBook const& memory_;
  Start const start_;
  std::atomic<bool> cancelled_{false};
  bool engine_crashed_ = false;
  bool engine_failed_ = false;
  bool config_refused_ = false;  ///< the row asks for what this model cannot: not the model's fault
};

}  // namespace homelab::engine
