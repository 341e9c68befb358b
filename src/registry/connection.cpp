#include "connection.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>

namespace homelab::registry {
namespace {

constexpr int kBusyTimeoutMs = 10'000;

struct Meaning {
  int sqlite;
  Code code;
};
constexpr std::array kMeanings{
    Meaning{SQLITE_CORRUPT, Code::kDataLoss},
    Meaning{SQLITE_NOTADB, Code::kDataLoss},
    Meaning{SQLITE_FORMAT, Code::kDataLoss},
    Meaning{SQLITE_FULL, Code::kResourceExhausted},
    Meaning{SQLITE_NOMEM, Code::kResourceExhausted},
    Meaning{SQLITE_TOOBIG, Code::kResourceExhausted},
    Meaning{SQLITE_READONLY, Code::kPermissionDenied},
    Meaning{SQLITE_PERM, Code::kPermissionDenied},
    Meaning{SQLITE_AUTH, Code::kPermissionDenied},
    Meaning{SQLITE_BUSY, Code::kUnavailable},
    Meaning{SQLITE_LOCKED, Code::kUnavailable},
    Meaning{SQLITE_IOERR, Code::kUnavailable},
    Meaning{SQLITE_CANTOPEN, Code::kUnavailable},
    Meaning{SQLITE_CONSTRAINT_UNIQUE, Code::kAlreadyExists},
    Meaning{SQLITE_CONSTRAINT_PRIMARYKEY, Code::kAlreadyExists},
};

Code code_of(SQLite::Exception const& thrown) {
  for (Meaning const& meaning : kMeanings)
    if (meaning.sqlite == thrown.getErrorCode() || meaning.sqlite == thrown.getExtendedErrorCode())
      return meaning.code;
  return Code::kInternal;
}

/// Why the file cannot be opened, as far as the file system tells.
tl::unexpected<Error> explain_refusal(std::filesystem::path const& file,
                                      SQLite::Exception const& thrown) {
  std::error_code ignored;
  auto const folder = std::filesystem::absolute(file, ignored).parent_path();
  if (std::filesystem::is_directory(file, ignored))
    return fail(
        Code::kInvalidArgument,
        fmt::format("the database {} is a folder; set DATABASE_PATH to a file", file.string()));
  if (!std::filesystem::is_directory(folder, ignored))
    return fail(Code::kNotFound,
                fmt::format("the folder {} of the database {} does not exist; make it, or set "
                            "DATABASE_PATH",
                            folder.string(), file.filename().string()));
  return fail(Code::kPermissionDenied,
              fmt::format("the database {} cannot be opened or made ({}); this user must be able "
                          "to write the file and "
                          "its folder {}, or set DATABASE_PATH to another place",
                          file.string(), thrown.what(), folder.string()));
}

}  // namespace

Error to_error(SQLite::Exception const& thrown) { return {code_of(thrown), thrown.what()}; }

Result<Connection> open_connection(std::filesystem::path const& file, bool create) {
  try {
    int const flags = SQLite::OPEN_READWRITE | (create ? SQLite::OPEN_CREATE : 0);
    auto database = std::make_unique<SQLite::Database>(file.string(), flags, kBusyTimeoutMs);
    database->exec("PRAGMA foreign_keys = ON");
    return database;
  } catch (SQLite::Exception const& thrown) {
    if (thrown.getErrorCode() == SQLITE_CANTOPEN || thrown.getErrorCode() == SQLITE_PERM)
      return explain_refusal(file, thrown);
    return fail(to_error(thrown).in(fmt::format("open the database {}", file.string())));
  }
}

}  // namespace homelab::registry
