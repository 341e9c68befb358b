#pragma once
// The loaded model with its process, shared by the service loop and the requests that run on it.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/os/memory.h"
#include "engine/engine_service.h"
#include "external/remote.h"
#include "progress_watch.h"
#include "supervised_process.h"

namespace homelab::engine {

struct LoadedEngine {
  LoadedModel info;  ///< fixed after the load, except what loaded() fills in
  std::optional<std::string> quantization;
  std::string version = {};  ///< of the engine's program, or an external one's name; may be empty
  std::string socket;
  unsigned busy_threads = 0;  ///< of this machine's processor while it works; 0 = it works on a GPU
  std::uint64_t weight_bytes = 0;    ///< of the files, whether they are in memory now or not
  std::uint64_t expected_bytes = 0;  ///< that it may grow to while it works; 0: on a GPU
  std::string memory_key;            ///< see MemoryBook
  std::unique_ptr<SupervisedProcess>
      process;                 ///< of the service loop, or of the load thread while it stops
  std::optional<Error> ended;  ///< service loop only: why nothing runs here any more
  std::atomic<std::uint64_t> active_requests{0};

  std::shared_ptr<Remote const> remote;          ///< null: an engine of ours, behind `socket`
  std::atomic<std::uint64_t> answered_bytes{0};  ///< by an external one
  unsigned failed_checks = 0;                    ///< service loop only: of its health, in a row
  std::uint64_t bytes_at_failure = 0;   ///< service loop only: answered_bytes at the first of them
  std::atomic<std::uint64_t> heard{0};  ///< pieces of answers that came from it
  std::optional<ProgressWatch> progress;  ///< service loop only
};

/// Why requests on a model that was unloaded end.
[[nodiscard]] Error unloaded(std::string const& model);

/// What its processes have in memory; nothing for a server elsewhere. Thread-safe.
[[nodiscard]] os::ProcessMemory memory_of(LoadedEngine const& engine);
/// Begins to end the process, without waiting: the grace of stop_process() counts from here.
void ask_to_stop(LoadedEngine& engine);

/// Blocks until the process has ended (SIGTERM, `grace`, SIGKILL), and logs how.
void stop_process(LoadedEngine& engine, std::chrono::milliseconds grace);

}  // namespace homelab::engine
