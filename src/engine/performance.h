#pragma once
// From one generation to its row in the performance log (contract §3.2, §9).
#include <optional>
#include <string>

#include "engine/engine_service.h"
#include "loaded_engine.h"
#include "registry/model.h"

namespace homelab::engine {

/// First 16 hex digits of the prompt's SHA-256.
[[nodiscard]] std::string prompt_hash(std::string_view prompt);

struct GenerationRecord {
  GenerateRequest const& request;
  GenerateStats const& stats;
  std::string const& text;  ///< the continuation, without the prompt
  std::optional<Error> const& error;
};
/// Reads the memory of the engine and of this process and the load average now.
[[nodiscard]] registry::PerformanceRow performance_row(LoadedEngine const& engine,
                                                       GenerationRecord const& record);

}  // namespace homelab::engine
