#pragma once
// Loaded models and what they do: load, unload, generate, forward. One engine process per loaded
// model (design §7).
//
// Threads: one service loop alone changes state; job threads do the blocking part of loads
// (download, spawn, health); callbacks come on the service loop or an I/O loop and must not block.
// All public functions are thread-safe.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "base/time.h"
#include "cache/locations.h"
#include "engine/external_engine.h"
#include "engine/log_file.h"
#include "engine/run_label.h"
#include "engine/sandbox_report.h"
#include "hub/downloader.h"
#include "registry/registry.h"

namespace homelab::http {
class IoLoops;
struct LocalCallbacks;
class LocalExchange;
}  // namespace homelab::http

namespace homelab::engine {

/// What a load does to the models that are loaded already.
enum class Place {
  kInstead,  ///< what "the loaded model" was goes first, as in the original
  kBeside,   ///< others go only as far as there is no room; it is "the loaded model" if there is
             ///< none
};

/// A model came, goes or has gone.
struct ModelChange {
  enum class State { kLoading, kLoaded, kUnloaded };
  std::string model;
  State state = State::kUnloaded;
  std::string error =
      {};  ///< kUnloaded: why its load failed or its engine ended; empty = as wished
  friend bool operator==(ModelChange const&, ModelChange const&) = default;
};

struct Options {
  cache::Path program;         ///< homelab-llm-engine
  cache::Path runtime_folder;  ///< sockets and engine logs, 0700, made by the service; socket paths
                               ///< stay < 108 bytes
  unsigned threads = 0;        ///< of all engines together; 0 = usable cores - 1, at least 1
  unsigned context_tokens = 0;         ///< per slot; 0 = the model's own, at most 8192
  unsigned slots = 4;                  ///< requests an engine works on at once
  int gpu_layers = -1;                 ///< -1 = engine's default
  unsigned max_loaded = 1;             ///< models at the same time
  std::chrono::seconds keep_alive{0};  ///< idle time before a model is unloaded; 0 = for ever
  std::set<std::string> pinned = {};   ///< models that never go by themselves
  /// Bytes of memory that are free now; empty = ask the system.
  std::function<std::uint64_t()> free_memory = {};
  ExternalEngines external = {};  ///< the engines file
  /// Variables for the commands in it beside HF_HOME and HF_HUB_CACHE: HF_HUB_OFFLINE, ...
  std::vector<std::pair<std::string, std::string>> hub_environment = {};
  /// How often external engines are asked for their health; a base URL a third as often.
  std::chrono::milliseconds health_interval{5000};
  /// Hears of every change, in order, on the service loop; must not block. May be empty.
  std::function<void(ModelChange const&)> on_change = {};
  /// Hears of every run that reached an engine, with the row that it left (or would have left), on
  /// an I/O loop or the service loop; must not block. May be empty.
  std::function<void(std::string const& model, registry::PerformanceRow const&)> on_run = {};
  bool performance_logging = true;  ///< rows are written
  bool sandbox = true;              ///< engines give up what they do not need
  /// How long a load may do nothing: no processor time, no reading. A slow one has all the time.
  std::chrono::milliseconds health_timeout{600'000};
  /// How long an engine with requests may do nothing and answer nothing; 0 = for ever.
  std::chrono::milliseconds hang_timeout{120'000};
  std::chrono::seconds stop_grace{5};
};

/// What /api/status, /api/engines and `ps` show of a loaded model.
struct LoadedModel {
  std::int64_t id = 0;
  std::string name;
  std::string hf_path;
  std::string device;  ///< "cpu", "cuda:0"
  std::string dtype;
  int pid = 0;
  std::uint64_t resident_bytes = 0;
  cache::Path model_path;
  std::string commit;
  UtcTime since{};
  std::uint64_t active_requests = 0;
  bool current = false;  ///< "the loaded model" of the original's view
  bool pinned = false;
  std::string engine = {};  ///< of the engines file; empty: ours, or a server known by `url` alone
  std::string url = {};     ///< where an external engine is reached; empty: an engine of ours
  std::optional<SandboxReport> sandbox;  ///< none: the engine's program has none
};

/// Something that takes time: a load (with its download) that runs or ended lately (bounded list).
struct JobView {
  std::int64_t id = 0;
  std::string kind;  ///< "load", "download"
  std::string model;
  std::string state;  ///< "downloading", "starting", "done", "failed", "cancelled"
  std::uint64_t total_bytes = 0;
  std::uint64_t done_bytes = 0;  ///< present + downloaded
  std::uint64_t downloaded_bytes = 0;
  double bytes_per_second = 0;
  std::string error;
};

struct GenerateRequest {
  std::string prompt;  ///< used as it is, no chat template
  int max_tokens = 256;
  double temperature = 0.7;  ///< 0 = greedy
  double top_p = 0.9;
  bool do_sample = true;
  std::string model = {};  ///< a registered name, loaded if need be; empty = "the loaded model"
  /// More of the engine's parameters under its own names (top_k, min_p, seed, stop, ...), checked
  /// by who asks; what is absent is as in the original.
  json::object parameters = {};
  RunLabel label = {};
};

struct GenerateStats {
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;  ///< generated ids, end token included
  double inference_ms = 0;
  std::optional<double> ttft_ms;
  [[nodiscard]] double tokens_per_second() const {
    return inference_ms > 0 ? static_cast<double>(output_tokens) / (inference_ms / 1000.0) : 0.0;
  }
};

/// A request of the engine's own dialect, for example POST /v1/chat/completions.
struct ForwardRequest {
  std::string model = {};  ///< a registered name, loaded if need be; empty = "the loaded model"
  std::string method;
  std::string target;
  std::string body = {};  ///< JSON, may be empty
  /// How long the model stays loaded without a request after this one; negative = for ever; none =
  /// as configured.
  std::optional<std::chrono::seconds> keep_alive = std::nullopt;
  RunLabel label = {};
};

/// Events of one generation, in order, on an I/O loop.
struct GenerateCallbacks {
  std::function<void(std::int64_t input_tokens)> on_start;
  std::function<void(std::string_view text)> on_text;  ///< whole UTF-8 characters only
  std::function<void(Result<GenerateStats>)> on_done;  ///< exactly once, last
};

/// Cancels when asked; dropping it does nothing.
class Running {
 public:
  virtual ~Running() = default;
  virtual void cancel() = 0;
};

struct ValidateOutcome {
  bool healthy = false;
  std::string model_name, device, dtype, error;
};

class EngineService {
 public:
  struct Dependencies {
    http::IoLoops& loops;
    registry::Registry& registry;
    hub::Downloader& downloader;
    cache::Locations const& locations;
  };
  /// kNotFound when the engine program is missing (the message says how to build or name it).
  [[nodiscard]] static Result<std::unique_ptr<EngineService>> create(Options options,
                                                                     Dependencies dependencies);
  /// Ends engines and joins threads; see shutdown().
  virtual ~EngineService() = default;

  /// Loads by registered name. Loads are serialised; a second request for a model that is being
  /// loaded joins it; for a loaded model it answers at once. When memory or the number of models is
  /// short, models that are idle and not pinned go, the one used longest ago first; a load waits a
  /// bounded time for models that are in use. Errors: kNotFound; kFailedPrecondition for an
  /// incompatible row without force (message carries the notes); kResourceExhausted when there
  /// cannot be room (`force` tries it all the same); kAborted when its engine died at the last
  /// loads and it is left alone for retry_after() (`force` tries it at once); else the true reason
  /// (engine's last log lines).
  virtual void load(std::string name, bool force, Place place,
                    std::function<void(Result<registry::Model>)> done) = 0;
  /// Unloads `name` (empty: "the loaded model") or cancels its load. Gives the name of the model
  /// that went; kFailedPrecondition when it is not loaded. Running generations end with an error.
  virtual void unload(std::string name, std::function<void(Result<std::string>)> done) = 0;
  /// Removes a row, unless its model is loaded or loading (kFailedPrecondition): decided by the
  /// owner of that state.
  virtual void remove_model(std::string name,
                            std::function<void(Result<registry::Model>)> done) = 0;

  /// For a short write that must not meet a load: `then` runs on the service loop, with
  /// kFailedPrecondition when one of the models is loaded, loading or waiting to be. Nothing is
  /// loaded before it returns.
  virtual void if_unused(std::vector<std::string> names, std::function<void(Status)> then) = 0;

  /// "The loaded model" of the original's view.
  [[nodiscard]] virtual std::optional<LoadedModel> loaded() const = 0;
  /// All of them, by name.
  [[nodiscard]] virtual std::vector<LoadedModel> all_loaded() const = 0;
  [[nodiscard]] virtual std::vector<JobView> jobs() const = 0;
  [[nodiscard]] virtual RequestCounts request_counts() const { return {}; }
  /// How long requests for this model are refused because its last load or run failed; 0 = not.
  [[nodiscard]] virtual std::chrono::seconds retry_after(std::string const& model) const = 0;

  /// What the model's engine wrote, or its last one if it has none now; null when none is kept.
  [[nodiscard]] virtual std::shared_ptr<LogFile> log_of(std::string const& model) const {
    static_cast<void>(model);
    return nullptr;
  }

  /// Waits for the model (which may have to be loaded) and for its turn: models share the
  /// processor's threads, so they work one after another. Errors (via on_done): kFailedPrecondition
  /// when no model is named and none is loaded; those of load(); kUnavailable while a model whose
  /// load just failed is left alone.
  virtual std::shared_ptr<Running> generate(GenerateRequest request,
                                            GenerateCallbacks callbacks) = 0;
  /// Five greedy tokens of "the loaded model"; no row, no counter. kFailedPrecondition when none
  /// is.
  virtual void validate(std::function<void(Result<ValidateOutcome>)> done) = 0;
  /// As generate(), for a request that passes through as it is.
  virtual std::shared_ptr<Running> forward(ForwardRequest request,
                                           http::LocalCallbacks callbacks) = 0;

  /// Refuses new work, lets running generations finish for `grace`, cancels downloads (they stay
  /// resumable), ends engines. Idempotent.
  virtual void shutdown(std::chrono::milliseconds grace) = 0;

  /// Those that a registration may name.
  [[nodiscard]] virtual ExternalEngines const& external_engines() const {
    static ExternalEngines const none;
    return none;
  }

  [[nodiscard]] virtual bool performance_logging() const = 0;
  virtual void set_performance_logging(bool on) = 0;
};

}  // namespace homelab::engine
