#include "loaded_engine.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/os/process.h"

namespace homelab::engine {

Error unloaded(std::string const& model) {
  return {Code::kAborted, fmt::format("model '{}' was unloaded", model)};
}

void stop_process(LoadedEngine& engine, std::chrono::milliseconds grace) {
  auto const how = engine.process->stop(grace);
  engine.process.reset();
  logger("engine")->info("unloaded {} ({})", engine.info.name, os::to_string(how));
}

}  // namespace homelab::engine
