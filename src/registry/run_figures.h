#pragma once
// Figures of runs by hour and by day: counted from the rows, once each, and asked for
// (docs/decisions/0019). Everything throws what SQLite throws.
#include <SQLiteCpp/SQLiteCpp.h>

#include "registry/runs.h"

namespace homelab::registry {

/// Inside a write transaction, before rows are added: ids of deleted rows that are given again
/// count as new ones.
void forget_deleted_ids(SQLite::Database& database);

/// Inside a write transaction: counts the next rows that are not in the figures yet, `limit` at
/// most. Gives how many it found.
int count_new_runs(SQLite::Database& database, int limit);

/// Figures of hours are for the last months, those of days for the years.
[[nodiscard]] constexpr std::chrono::days hours_kept() { return std::chrono::days(92); }
[[nodiscard]] constexpr std::chrono::days days_kept() { return std::chrono::days(3660); }

/// Inside a write transaction: drops figures that are older than they are kept.
void drop_old_figures(SQLite::Database& database, UtcTime now);

[[nodiscard]] RunAnswer ask_figures(SQLite::Database& database, RunQuestion const& question,
                                    UtcTime now);

/// The newest runs of a model against the 30 days before them.
[[nodiscard]] RunComparison compare_with_past(SQLite::Database& database, std::string const& model,
                                              UtcTime now);

}  // namespace homelab::registry
