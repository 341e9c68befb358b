#pragma once
// Runs and figures of runs as JSON.
#include "base/json.h"
#include "registry/model.h"
#include "registry/runs.h"

namespace homelab::api {

/// Every column, times in UTC; what the original's log has under its names.
[[nodiscard]] json::object run_json(registry::PerformanceRow const& row);
[[nodiscard]] json::object figures_json(registry::RunFigures const& figures);

}  // namespace homelab::api
