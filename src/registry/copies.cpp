#include "copies.h"

#include <fcntl.h>
#include <fmt/format.h>

#include "base/os/file.h"
#include "base/time.h"
#include "connection.h"

namespace homelab::registry {
namespace {

Status write_copy(std::filesystem::path const& file, std::filesystem::path const& copy) {
  ASSIGN_OR_RETURN(Connection const reader, open_connection(file, false));
  {
    SQLite::Statement statement(*reader, "VACUUM INTO ?");
    statement.bind(1, copy.string());
    statement.exec();
  }
  // The copy must survive a power cut; SQLite does not sync it.
  ASSIGN_OR_RETURN(os::UniqueFd const written, os::open_file(copy, O_RDONLY));
  RETURN_IF_ERROR(os::sync_data(written.get()));
  return os::sync_folder(copy.has_parent_path() ? copy.parent_path() : ".");
}

}  // namespace

std::filesystem::path dated_name(std::filesystem::path const& file, std::string_view what) {
  std::string stamp;
  for (char const c : to_iso_utc(utc_now()).substr(0, 19))
    if (c != '-' && c != ':') stamp.push_back(c);
  return fmt::format("{}.{}-{}Z", file.string(), what, stamp);
}

std::filesystem::path backup_name(std::filesystem::path const& file, int schema) {
  return dated_name(file, fmt::format("backup-{}", schema));
}

Status copy_database(std::filesystem::path const& file, std::filesystem::path const& copy) {
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(copy, ignored)))
    return fail(Code::kAlreadyExists,
                fmt::format("{} exists already; move it away", copy.string()));
  Status copied = contain([&] { return write_copy(file, copy); });
  if (copied) return {};
  if (std::filesystem::exists(copy, ignored)) RETURN_IF_ERROR(os::remove_file(copy));
  return fail(std::move(copied).error().in(
      fmt::format("copy the database {} to {}", file.string(), copy.string())));
}

}  // namespace homelab::registry
