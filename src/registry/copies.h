#pragma once
// Copies of the database file: their names, and how one is made.
#include <filesystem>
#include <string_view>

#include "base/result.h"

namespace homelab::registry {

/// "<file>.<what>-20260131T120000Z".
[[nodiscard]] std::filesystem::path dated_name(std::filesystem::path const& file,
                                               std::string_view what);
/// "<file>.backup-<schema>-20260131T120000Z".
[[nodiscard]] std::filesystem::path backup_name(std::filesystem::path const& file, int schema);

/// One consistent copy of `file` at `copy`, which must not exist, synced with its folder. Reads
/// through its own connection, also while another one holds the write lock. What a failed try left
/// is removed. kAlreadyExists: `copy` is there.
[[nodiscard]] Status copy_database(std::filesystem::path const& file,
                                   std::filesystem::path const& copy);

}  // namespace homelab::registry
