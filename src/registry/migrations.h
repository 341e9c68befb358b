#pragma once
// The schema's versions: migrations/NNNN_*.sql, run in order, each in one transaction; PRAGMA
// user_version counts them.
#include <filesystem>
#include <optional>

#include "base/result.h"
#include "connection.h"

namespace homelab::registry {

/// Version that this program works with.
[[nodiscard]] int newest_schema();
/// Version of an open database; 0: of the original program, or empty.
[[nodiscard]] int schema_of(SQLite::Database& database);
/// kFailedPrecondition: made by a newer version, or a database of something else. An empty one is
/// ours.
[[nodiscard]] Status check_owner(SQLite::Database& database, std::filesystem::path const& file);

/// Brings the file to newest_schema(). An existing database is checked and copied to
/// "<file>.backup-<version>-<UTC time>" before the first change; gives the copy's path then.
/// Two processes may do this at once: one migrates, the other waits and finds the work done.
/// kDataLoss: damaged. kFailedPrecondition: made by a newer version, or a database of something
/// else.
[[nodiscard]] Result<std::optional<std::filesystem::path>> migrate(
    SQLite::Database& database, std::filesystem::path const& file);

}  // namespace homelab::registry
