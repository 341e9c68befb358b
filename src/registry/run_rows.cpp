#include "run_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "rows.h"

namespace homelab::registry {
namespace {

std::string conditions_of(RunFilter const& filter) {
  std::string sql;
  // A text that is not known is null in the row and "" in the filter.
  if (filter.model) sql += " AND COALESCE(model_name, '') = :model";
  if (filter.revision) sql += " AND COALESCE(model_version, '') = :revision";
  if (filter.engine_version) sql += " AND COALESCE(engine_version, '') = :engine";
  if (filter.endpoint) sql += " AND COALESCE(endpoint, '') = :endpoint";
  if (filter.since) sql += " AND timestamp >= :since";
  if (filter.until) sql += " AND timestamp < :until";
  return sql;
}

void bind_conditions(SQLite::Statement& query, RunFilter const& filter) {
  if (filter.model) query.bind(":model", *filter.model);
  if (filter.revision) query.bind(":revision", *filter.revision);
  if (filter.engine_version) query.bind(":engine", *filter.engine_version);
  if (filter.endpoint) query.bind(":endpoint", *filter.endpoint);
  if (filter.since) query.bind(":since", to_database_text(*filter.since));
  if (filter.until) query.bind(":until", to_database_text(*filter.until));
}

std::vector<PerformanceRow> page(SQLite::Database& database, RunFilter const& filter,
                                 std::string const& bound, std::int64_t id, int limit) {
  SQLite::Statement query(database,
                          fmt::format("SELECT id, {} FROM performancelog WHERE {}{} ORDER BY id {} "
                                      "LIMIT :limit",
                                      performance_columns(), bound, conditions_of(filter),
                                      bound == "id > :id" ? "ASC" : "DESC"));
  query.bind(":id", id);
  query.bind(":limit", limit);
  bind_conditions(query, filter);
  std::vector<PerformanceRow> rows;
  while (query.executeStep()) rows.push_back(read_performance(query));
  return rows;
}

int delete_some(SQLite::Database& database, std::string const& which, std::string const& bound,
                std::int64_t limit) {
  SQLite::Statement erase(
      database, fmt::format("DELETE FROM performancelog WHERE id IN (SELECT id FROM performancelog "
                            "WHERE id < (SELECT MAX(id) FROM performancelog){} LIMIT :limit)",
                            which));
  if (!bound.empty()) erase.bind(":bound", bound);
  erase.bind(":limit", limit);
  return erase.exec();
}

}  // namespace

std::vector<PerformanceRow> runs_after(SQLite::Database& database, RunFilter const& filter,
                                       std::int64_t after, int limit) {
  return page(database, filter, "id > :id", after, limit);
}

std::vector<PerformanceRow> runs_before(SQLite::Database& database, RunFilter const& filter,
                                        std::int64_t before, int limit) {
  return page(database, filter, "id < :id", before, limit);
}

int delete_expired(SQLite::Database& database, Retention const& retention, UtcTime now, int limit) {
  int deleted = 0;
  if (retention.age.count() > 0)
    deleted = delete_some(database, " AND timestamp < :bound ORDER BY timestamp",
                          to_database_text(now - retention.age), limit);
  if (retention.rows <= 0 || deleted >= limit) return deleted;
  auto const rows = database.execAndGet("SELECT COUNT(*) FROM performancelog").getInt64();
  auto const excess = std::min<std::int64_t>(rows - retention.rows, limit - deleted);
  if (excess > 0) deleted += delete_some(database, " ORDER BY id", "", excess);
  return deleted;
}

}  // namespace homelab::registry
