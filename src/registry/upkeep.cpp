#include "registry/upkeep.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/os/file.h"
#include "connection.h"
#include "copies.h"
#include "migrations.h"

namespace homelab::registry {
namespace {

using Path = std::filesystem::path;

constexpr std::uint64_t kAlwaysCheckedBytes = 4U << 20U;
constexpr int kBusyTimeoutMs = 2'000;
/// What SQLite keeps beside a database in use.
constexpr std::array<std::string_view, 2> kCompanions{"-wal", "-shm"};

Path companion(Path const& file, std::string_view ending) {
  return file.string() + std::string(ending);
}

std::uint64_t size_of(Path const& file) {
  std::error_code none;
  auto const size = std::filesystem::file_size(file, none);
  return none ? 0 : size;
}

/// Not through open_connection(): a look must not write, not even a checkpoint.
SQLite::Database open_to_look(Path const& file) {
  return {file.string(), SQLite::OPEN_READONLY, kBusyTimeoutMs};
}

std::vector<std::string> damage_of(SQLite::Database& database, std::string const& pragma) {
  std::vector<std::string> found;
  SQLite::Statement query(database, pragma);
  while (query.executeStep()) {
    std::string line = query.getColumn(0).getString();
    if (line != "ok") found.push_back(std::move(line));
  }
  return found;
}

bool is_registry(SQLite::Database& database) { return database.tableExists("modelregistry"); }

std::int64_t rows_of(SQLite::Database& database, std::string const& table) {
  if (!database.tableExists(table)) return 0;
  return database.execAndGet("SELECT COUNT(*) FROM " + table).getInt64();
}

Result<DatabaseHealth> look(Path const& file) {
  SQLite::Database database = open_to_look(file);
  RETURN_IF_ERROR(check_owner(database, file));
  DatabaseHealth health;
  health.schema = schema_of(database);
  health.size_bytes = size_of(file) + size_of(companion(file, kCompanions[0]));
  health.damage = damage_of(database, "PRAGMA integrity_check(100)");
  if (!health.damage.empty()) return health;  // to count might fail
  health.models = rows_of(database, "modelregistry");
  health.performance_rows = rows_of(database, "performancelog");
  return health;
}

Status require_file(Path const& file) {
  std::error_code none;
  if (std::filesystem::is_regular_file(file, none)) return {};
  return fail(Code::kNotFound, fmt::format("there is no database {}", file.string()));
}

bool is_held(SQLite::Exception const& thrown) {
  return thrown.getErrorCode() == SQLITE_BUSY || thrown.getErrorCode() == SQLITE_LOCKED;
}

/// kUnavailable when anybody else has the file open. Nothing is written to it.
Status require_alone(Path const& file) {
  try {
    SQLite::Database database(file.string(), SQLite::OPEN_READWRITE, kBusyTimeoutMs);
    sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    static_cast<void>(database.execAndGet("PRAGMA locking_mode = EXCLUSIVE"));
    database.exec("BEGIN EXCLUSIVE");
    database.exec("ROLLBACK");
    return {};
  } catch (SQLite::Exception const& thrown) {
    if (to_error(thrown).code == Code::kDataLoss) return {};  // nobody can work with that
    if (is_held(thrown))
      return fail(Code::kUnavailable,
                  fmt::format("another program, probably a running server, has {} open; stop it "
                              "first",
                              file.string()));
    return fail(to_error(thrown).in(fmt::format("open the database {}", file.string())));
  }
}

/// Moves what stands in the write-ahead log into the file, so that the file alone is everything.
Status fold_log(Path const& file) {
  return contain([&]() -> Status {
    SQLite::Database database(file.string(), SQLite::OPEN_READWRITE, kBusyTimeoutMs);
    static_cast<void>(database.execAndGet("PRAGMA journal_mode = DELETE"));
    return {};
  });
}

/// True: SQLite itself says so, about a file that is a registry as far as one can tell.
bool is_damaged(Path const& file) {
  try {
    SQLite::Database database = open_to_look(file);
    auto const damage = damage_of(database, "PRAGMA quick_check(1)");
    return !damage.empty() && is_registry(database);
  } catch (SQLite::Exception const& thrown) {
    // SQLITE_NOTADB is a wrong DATABASE_PATH; a busy or unreadable file is no damaged one.
    return thrown.getErrorCode() == SQLITE_CORRUPT;
  }
}

/// A second name for the file, so that there is no moment without one; a new name where the file
/// system knows no hard links.
Status keep_as(Path const& file, Path const& kept) {
  if (::link(file.c_str(), kept.c_str()) == 0) return {};
  if (errno == EEXIST)
    return fail(Code::kAlreadyExists,
                fmt::format("{} exists already; move it away", kept.string()));
  return os::rename_file(file, kept);
}

Status move_companions(Path const& file, Path const& to) {
  for (std::string_view const ending : kCompanions) {
    std::error_code none;
    Path const one = companion(file, ending);
    if (std::filesystem::exists(one, none))
      RETURN_IF_ERROR(os::rename_file(one, companion(to, ending)));
  }
  return {};
}

Path folder_of(Path const& file) { return file.has_parent_path() ? file.parent_path() : Path("."); }

Status require_whole(Path const& file, DatabaseHealth const& health) {
  if (health.damage.empty()) return {};
  return fail(Code::kDataLoss, fmt::format("{} is damaged itself ({}); nothing was changed",
                                           file.string(), health.damage.front()));
}

/// The copy stands under this name until it takes the place of the file.
Status put_in_place(Path const& copy, Path const& file, Restored& restored) {
  std::error_code none;
  if (std::filesystem::exists(file, none)) {
    RETURN_IF_ERROR(require_alone(file));
    if (!is_damaged(file)) RETURN_IF_ERROR(fold_log(file));
    restored.replaced = dated_name(file, "replaced");
    RETURN_IF_ERROR(keep_as(file, *restored.replaced));
    RETURN_IF_ERROR(move_companions(file, *restored.replaced));
  }
  RETURN_IF_ERROR(os::rename_file(copy, file));
  return os::sync_folder(folder_of(file));
}

}  // namespace

Result<DatabaseHealth> check_database(Path const& file) {
  RETURN_IF_ERROR(require_file(file));
  auto health = contain([&] { return look(file); });
  if (health || health.error().message.find(file.string()) != std::string::npos) return health;
  return fail(std::move(health).error().in(fmt::format("read the database {}", file.string())));
}

Result<Path> backup_database(Path const& file, std::optional<Path> const& to) {
  RETURN_IF_ERROR(require_file(file));
  ASSIGN_OR_RETURN(int const schema, contain([&]() -> Result<int> {
                     SQLite::Database database = open_to_look(file);
                     RETURN_IF_ERROR(check_owner(database, file));
                     return schema_of(database);
                   }));
  Path copy = to ? *to : backup_name(file, schema);
  RETURN_IF_ERROR(copy_database(file, copy));
  return copy;
}

Result<Restored> restore_database(Path const& from, Path const& file) {
  Restored restored;
  ASSIGN_OR_RETURN(restored.health, check_database(from));
  RETURN_IF_ERROR(require_whole(from, restored.health));
  std::error_code none;
  if (std::filesystem::equivalent(from, file, none))
    return fail(Code::kInvalidArgument,
                fmt::format("{} is the database itself; name a copy of it", from.string()));
  Path const copy = companion(file, ".restoring");
  RETURN_IF_ERROR(os::remove_file(copy));  // of a try that was killed
  RETURN_IF_ERROR(copy_database(from, copy));
  Status const placed = put_in_place(copy, file, restored);
  if (placed) return restored;
  RETURN_IF_ERROR(os::remove_file(copy));
  return fail(placed.error());
}

Result<std::optional<Path>> set_aside_if_damaged(Path const& file) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(file, none)) return std::nullopt;
  bool const unclean = size_of(companion(file, kCompanions[0])) > 0;
  if (size_of(file) > kAlwaysCheckedBytes && !unclean) return std::nullopt;
  if (!is_damaged(file) || !require_alone(file)) return std::nullopt;
  Path aside = dated_name(file, "damaged");
  RETURN_IF_ERROR(move_companions(file, aside));
  RETURN_IF_ERROR(os::rename_file(file, aside));
  RETURN_IF_ERROR(os::sync_folder(folder_of(file)));
  return aside;
}

std::optional<Path> newest_backup(Path const& file) {
  std::string const begin = file.filename().string() + ".backup-";
  std::optional<Path> newest;
  std::filesystem::file_time_type newest_time;
  std::error_code none;
  for (auto const& entry : std::filesystem::directory_iterator(folder_of(file), none)) {
    if (!entry.path().filename().string().starts_with(begin)) continue;
    auto const time = entry.last_write_time(none);
    if (newest && time <= newest_time) continue;
    newest = entry.path();
    newest_time = time;
  }
  return newest;
}

}  // namespace homelab::registry
