#include "loaded_engine.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/os/process.h"
#include "external/child_group.h"

namespace homelab::engine {

Error unloaded(std::string const& model) {
  return {Code::kAborted, fmt::format("model '{}' was unloaded", model)};
}

os::ProcessMemory memory_of(LoadedEngine const& engine) {
  if (engine.info.pid <= 0) return {};
  if (engine.remote) return group_memory(engine.info.pid);
  return os::process_memory(engine.info.pid).value_or(os::ProcessMemory{});
}

void ask_to_stop(LoadedEngine& engine) {
  if (engine.process) engine.process->ask_to_stop();
}

void stop_process(LoadedEngine& engine, std::chrono::milliseconds grace) {
  auto const how = engine.process->stop(grace);
  engine.process.reset();
  logger("engine")->info("unloaded {} ({})", engine.info.name, os::to_string(how));
}

}  // namespace homelab::engine
