#pragma once
// Logging: one text line per event on stderr. Modules call logger("hub")->info("...", ...).
#include <spdlog/logger.h>

#include <memory>
#include <string>
#include <string_view>

namespace homelab {

/// Sets level ("debug", "info", "warn", "error") for all loggers. Call once, before threads start.
void setup_logging(std::string_view level);

/// The logger of a module; created on first use, thread-safe, lives until the process ends.
/// Never log tokens, prompts or URLs with credentials.
[[nodiscard]] std::shared_ptr<spdlog::logger> logger(std::string const& module);

}  // namespace homelab
