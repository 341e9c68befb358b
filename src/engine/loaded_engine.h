#pragma once
// The loaded model with its process, shared by the service loop and the requests that run on it.
#include <atomic>
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
  std::unique_ptr<EngineProcess>
      process;                 ///< of the service loop, or of the load thread while it stops
  std::optional<Error> ended;  ///< service loop only: why nothing runs here any more
  std::atomic<std::uint64_t> active_requests{0};
};

}  // namespace homelab::engine
