#pragma once
// Looking after the registry's file: is it whole, a copy of it, a copy put back. Used by
// `homelab-llm db` and at the server's start. All functions block for disk work; any thread.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace homelab::registry {

struct DatabaseHealth {
  int schema = 0;                ///< 0: made by the original program and not upgraded yet
  std::uint64_t size_bytes = 0;  ///< with its write-ahead log
  std::int64_t models = 0;
  std::int64_t performance_rows = 0;
  std::vector<std::string> damage;  ///< SQLite's own words, 100 at most; empty: whole
};

/// Reads every page and compares every index with its table; changes nothing, and may run beside a
/// server. kNotFound: no such file. kDataLoss: no SQLite database, or too damaged to be read.
/// kFailedPrecondition: a database of something else.
[[nodiscard]] Result<DatabaseHealth> check_database(std::filesystem::path const& file);

/// One consistent copy, synced, also while a server writes. Without `to` it is
/// "<file>.backup-<schema>-<UTC time>". kAlreadyExists: never written over a file that is there.
[[nodiscard]] Result<std::filesystem::path> backup_database(
    std::filesystem::path const& file, std::optional<std::filesystem::path> const& to);

struct Restored {
  std::optional<std::filesystem::path> replaced;  ///< what stood there before, under its new name
  DatabaseHealth health;                          ///< of what stands there now
};
/// Puts the copy `from` in the place of `file`, which is kept as "<file>.replaced-<UTC time>". At
/// every moment the one or the other is there, whole. kDataLoss: `from` is damaged.
/// kUnavailable: another program has `file` open.
[[nodiscard]] Result<Restored> restore_database(std::filesystem::path const& from,
                                                std::filesystem::path const& file);

/// Before the server opens it: a damaged registry is renamed to "<file>.damaged-<UTC time>", with
/// its write-ahead log; gives that name. Files of up to 4 MiB are looked at each time, larger ones
/// when the last program did not close them properly. Nothing is done to what is no registry, or is
/// open elsewhere: to open it says what is wrong.
[[nodiscard]] Result<std::optional<std::filesystem::path>> set_aside_if_damaged(
    std::filesystem::path const& file);

/// The newest copy that backup_database() or an upgrade made beside `file`; nullopt: there is none.
[[nodiscard]] std::optional<std::filesystem::path> newest_backup(std::filesystem::path const& file);

}  // namespace homelab::registry
