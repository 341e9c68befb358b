#pragma once
// The loaded model with its process, shared by the service loop and the requests that run on it.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/engine_service.h"
#include "engine_process.h"

namespace homelab::engine {

struct LoadedEngine {
  LoadedModel info;  ///< fixed after the load, except what loaded() fills in
  std::optional<std::string> quantization;
  std::string socket;
  unsigned busy_threads = 0;  ///< of this machine's processor while it works; 0 = it works on a GPU
  std::uint64_t weight_bytes = 0;    ///< of the files, whether they are in memory now or not
  std::uint64_t expected_bytes = 0;  ///< that it may grow to while it works; 0: on a GPU
  std::string memory_key;            ///< see MemoryBook
  std::unique_ptr<EngineProcess>
      process;                 ///< of the service loop, or of the load thread while it stops
  std::optional<Error> ended;  ///< service loop only: why nothing runs here any more
  std::atomic<std::uint64_t> active_requests{0};
};

/// Why requests on a model that was unloaded end.
[[nodiscard]] Error unloaded(std::string const& model);

/// Blocks until the process has ended (SIGTERM, `grace`, SIGKILL), and logs how.
void stop_process(LoadedEngine& engine, std::chrono::milliseconds grace);

}  // namespace homelab::engine
