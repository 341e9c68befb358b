#include "migrations.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "copies.h"

namespace homelab::registry {
namespace {

struct EmbeddedRange {
  std::string_view name;
  char const* begin;
  char const* end;
};
#include "homelab_registry_embedded.inc"

constexpr std::array<std::string_view, 2> kOriginalTables{"modelregistry", "performancelog"};

/// The SQL files by name, which begins with the number.
std::vector<EmbeddedRange> const& migrations() {
  static auto const sorted = [] {
    std::vector<EmbeddedRange> all(std::begin(kEmbedded), std::end(kEmbedded));
    std::sort(all.begin(), all.end(), [](auto const& a, auto const& b) { return a.name < b.name; });
    return all;
  }();
  return sorted;
}

std::string sql_of(EmbeddedRange const& migration) { return {migration.begin, migration.end}; }

struct Column {
  std::string name;
  std::string type;
  bool required;
  std::string fallback;  ///< SQL text of the default; empty = none
};

std::vector<Column> columns_of(SQLite::Database& database, std::string_view table) {
  std::vector<Column> columns;
  SQLite::Statement query(database, fmt::format("PRAGMA table_info({})", table));
  while (query.executeStep()) {
    columns.push_back({query.getColumn(1).getString(), query.getColumn(2).getString(),
                       query.getColumn(3).getInt() != 0, query.getColumn(4).getString()});
  }
  return columns;
}

/// Older versions of the original had fewer columns; the first migration's text is the one list of
/// what there must be.
void add_missing_columns(SQLite::Database& database) {
  SQLite::Database model(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  model.exec(sql_of(migrations().front()));
  for (std::string_view const table : kOriginalTables) {
    auto const present = columns_of(database, table);
    for (Column const& wanted : columns_of(model, table)) {
      bool const there = std::any_of(present.begin(), present.end(), [&](Column const& column) {
        return column.name == wanted.name;
      });
      if (there) continue;
      database.exec(fmt::format("ALTER TABLE {} ADD COLUMN {} {}{}{}", table, wanted.name,
                                wanted.type, wanted.required ? " NOT NULL" : "",
                                wanted.fallback.empty() ? "" : " DEFAULT " + wanted.fallback));
    }
  }
}

/// SQL function of migration 3. Null stays null and unreadable text stays as it is: nothing of the
/// user's is lost.
void local_to_utc_function(sqlite3_context* context, int /*count*/, sqlite3_value** values) {
  auto const* text = sqlite3_value_type(values[0]) == SQLITE_TEXT
                         ? static_cast<char const*>(sqlite3_value_blob(values[0]))
                         : nullptr;
  auto const length = static_cast<std::size_t>(sqlite3_value_bytes(values[0]));
  auto const reading = text != nullptr ? parse_database_text({text, length}) : std::nullopt;
  if (!reading) {
    sqlite3_result_value(context, values[0]);
    return;
  }
  std::string const converted = to_database_text(local_to_utc(*reading));
  sqlite3_result_text(context, converted.data(), static_cast<int>(converted.size()),
                      SQLITE_TRANSIENT);
}

std::vector<std::string> tables_of(SQLite::Database& database) {
  std::vector<std::string> names;
  SQLite::Statement query(database,
                          "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE "
                          "'sqlite_%' ORDER BY name");
  while (query.executeStep()) names.push_back(query.getColumn(0).getString());
  return names;
}

Status check_health(SQLite::Database& database, std::filesystem::path const& file) {
  std::string const answer = database.execAndGet("PRAGMA quick_check(1)").getString();
  if (answer == "ok") return {};
  return fail(
      Code::kDataLoss,
      fmt::format("the database {} is damaged ({}); it was not touched. Put a backup in its "
                  "place, or move it away to begin anew",
                  file.string(), answer));
}

Result<std::filesystem::path> back_up(std::filesystem::path const& file, int schema) {
  std::filesystem::path copy = backup_name(file, schema);
  Status copied = copy_database(file, copy);
  if (copied) return copy;
  return fail(std::move(copied).error().in("before its upgrade"));
}

void run_one(SQLite::Database& database, int number) {
  database.exec(sql_of(migrations()[static_cast<std::size_t>(number - 1)]));
  if (number == 1) add_missing_columns(database);
  database.exec(fmt::format("PRAGMA user_version = {}", number));
}

}  // namespace

int schema_of(SQLite::Database& database) {
  return database.execAndGet("PRAGMA user_version").getInt();
}

Status check_owner(SQLite::Database& database, std::filesystem::path const& file) {
  int const schema = schema_of(database);
  if (schema > newest_schema()) {
    return fail(
        Code::kFailedPrecondition,
        fmt::format("the database {} has schema {}, made by a newer version of this program; this "
                    "one knows "
                    "schemas up to {}. Use the newer version, or set DATABASE_PATH to another file",
                    file.string(), schema, newest_schema()));
  }
  auto const tables = tables_of(database);
  bool const ours = std::find(tables.begin(), tables.end(), kOriginalTables[0]) != tables.end();
  if (tables.empty() || ours) return {};
  return fail(
      Code::kFailedPrecondition,
      fmt::format(
          "{} is a database of something else (it has a table '{}' and no 'modelregistry'); set "
          "DATABASE_PATH to another file",
          file.string(), tables.front()));
}

int newest_schema() { return static_cast<int>(migrations().size()); }

Result<std::optional<std::filesystem::path>> migrate(SQLite::Database& database,
                                                     std::filesystem::path const& file) {
  std::optional<std::filesystem::path> backup;
  RETURN_IF_ERROR(check_owner(database, file));
  if (schema_of(database) == newest_schema()) return backup;
  database.createFunction("homelab_local_to_utc", 1, true, nullptr, local_to_utc_function, nullptr,
                          nullptr, nullptr);
  WriteTransaction transaction(database);
  // Asked again under the lock: another process may have done the work while we waited.
  RETURN_IF_ERROR(check_owner(database, file));
  int const schema = schema_of(database);
  if (!tables_of(database).empty() && schema < newest_schema()) {
    RETURN_IF_ERROR(check_health(database, file));
    ASSIGN_OR_RETURN(backup, back_up(file, schema));
  }
  for (int number = schema + 1; number <= newest_schema(); ++number) run_one(database, number);
  transaction.commit();
  return backup;
}

}  // namespace homelab::registry
