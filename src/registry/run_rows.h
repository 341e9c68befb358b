#pragma once
// Rows of runs: read page by page, and deleted when their time is over. Everything throws what
// SQLite throws.
#include <SQLiteCpp/SQLiteCpp.h>

#include <vector>

#include "registry/model.h"
#include "registry/runs.h"

namespace homelab::registry {

/// In the order of ids, those behind `after`; `limit` at most.
[[nodiscard]] std::vector<PerformanceRow> runs_after(SQLite::Database& database,
                                                     RunFilter const& filter, std::int64_t after,
                                                     int limit);
/// The newest first, those before `before`.
[[nodiscard]] std::vector<PerformanceRow> runs_before(SQLite::Database& database,
                                                      RunFilter const& filter, std::int64_t before,
                                                      int limit);

/// Inside a write transaction: deletes the oldest rows that are too old or too many, `limit` at
/// most. Gives how many. The newest row of all stays, so that ids are not given twice.
int delete_expired(SQLite::Database& database, Retention const& retention, UtcTime now, int limit);

}  // namespace homelab::registry
