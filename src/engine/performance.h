#pragma once
// From one run to its row in the performance log (contract §3.2, §9).
#include <functional>
#include <optional>
#include <string>

#include "engine/engine_service.h"
#include "loaded_engine.h"
#include "registry/model.h"
#include "run_watch.h"

namespace homelab::engine {

/// Takes the row of a run that has ended; the model's name stands in it.
using LogRow = std::function<void(registry::PerformanceRow)>;

/// First 16 hex digits of the prompt's SHA-256.
[[nodiscard]] std::string prompt_hash(std::string_view prompt);

/// What was seen of a run. Pointers may be null.
struct RunRecord {
  RunLabel const* label = nullptr;
  double total_ms = 0;  ///< on the engine, without the wait for it
  double queue_wait_ms = 0;
  std::optional<double> ttft_ms;
  Gaps const* gaps = nullptr;
  EngineReport report = {};  ///< the engine's word counts more than what was seen from outside
  std::optional<Error> error = {};
};
/// Reads the memory of the engine and of this process and the load average now.
[[nodiscard]] registry::PerformanceRow performance_row(LoadedEngine const& engine,
                                                       RunRecord const& record);

struct GenerationRecord {
  GenerateRequest const& request;
  GenerateStats const& stats;
  std::string const& text;  ///< the continuation, without the prompt
};
/// The same for a run of generate(), whose parameters and text are known.
[[nodiscard]] registry::PerformanceRow generation_row(LoadedEngine const& engine, RunRecord record,
                                                      GenerationRecord const& generation);

}  // namespace homelab::engine
