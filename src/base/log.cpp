#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <mutex>

namespace homelab {
namespace {
std::shared_ptr<spdlog::sinks::sink> const& sink() {
  static std::shared_ptr<spdlog::sinks::sink> const instance =
      std::make_shared<spdlog::sinks::stderr_sink_mt>();
  return instance;
}
}  // namespace

void setup_logging(std::string_view level) {
  spdlog::set_level(spdlog::level::from_str(std::string(level)));
}

std::shared_ptr<spdlog::logger> logger(std::string const& module) {
  static std::mutex mutex;
  std::lock_guard const guard(mutex);
  if (auto found = spdlog::get(module)) return found;
  auto made = std::make_shared<spdlog::logger>(module, sink());
  spdlog::initialize_logger(made);
  // After the line above, which gives every logger the library's own pattern.
  made->set_pattern("%Y-%m-%d %H:%M:%S.%e %l [%n] %v");
  return made;
}

}  // namespace homelab
