#include "trash_record.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/hash.h"
#include "base/strings.h"
#include "base/time.h"
#include "durable_step.h"
#include "walk_at.h"

namespace homelab::cache {
namespace {

constexpr std::size_t kMaxManifestBytes = 256 * 1024 * 1024;

/// "20261123T101500.123456Z-9f3a61c0": sorts by time.
std::string fresh_id() {
  std::string id;
  for (char const letter : to_database_text(utc_now())) {
    if (letter == ' ') id += 'T';
    if ((letter >= '0' && letter <= '9') || letter == '.') id += letter;
  }
  return id + "Z-" + random_hex(4);
}

bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 &&
         id.find_first_not_of("0123456789abcdefTZ.-") == std::string_view::npos &&
         !id.starts_with('.');
}

}  // namespace

Result<FolderAt> open_trash(Path const& hub_folder) {
  // .locks itself may be a link of the cache's owner.
  ASSIGN_OR_RETURN(FolderAt const locks, open_folder(hub_folder / ".locks"));
  return open_below(locks, ".homelab-llm/trash");
}

Result<OpenRecord> OpenRecord::lock(FolderAt trash, std::string const& id) {
  ASSIGN_OR_RETURN(FolderAt folder, open_sub(trash, id));
  int locked = 0;
  do {
    locked = ::flock(folder.fd.get(), LOCK_EX | LOCK_NB);
  } while (locked != 0 && errno == EINTR);
  if (locked != 0 && errno == EWOULDBLOCK)
    return fail(Code::kAborted, fmt::format("{} is in use by another command", folder.shown));
  struct stat found{};
  if (::fstat(folder.fd.get(), &found) != 0 || found.st_nlink == 0)
    return fail(Code::kNotFound, folder.shown + " was emptied meanwhile");
  return OpenRecord(std::move(trash), std::move(folder), id);
}

Result<OpenRecord> OpenRecord::create(Path const& hub_folder, TrashManifest const* manifest) {
  RETURN_IF_ERROR(os::make_folders(hub_folder / ".locks"));
  ASSIGN_OR_RETURN(FolderAt const locks, open_folder(hub_folder / ".locks"));
  ASSIGN_OR_RETURN(FolderAt trash, make_folder_below(locks, ".homelab-llm/trash"));
  std::string const id = fresh_id();
  durable_step("make trash record");
  if (::mkdirat(trash.fd.get(), id.c_str(), 0777) != 0)
    return fail_errno("create folder", trash.in(id), errno);
  ASSIGN_OR_RETURN(OpenRecord record, lock(std::move(trash), id));
  RETURN_IF_ERROR(sync(record.trash_));
  if (manifest != nullptr)
    RETURN_IF_ERROR(replace_file({record.folder_, "manifest.part", record.folder_, kManifestName},
                                 to_manifest_json(*manifest)));
  return record;
}

Result<OpenRecord> OpenRecord::open(Path const& hub_folder, std::string const& id) {
  if (!is_id(id))
    return fail(Code::kInvalidArgument,
                fmt::format("'{}' is no id of the trash; see: homelab-llm cache trash ls", id));
  auto trash = open_trash(hub_folder);
  if (!trash || !stands_at(*trash, id))
    return fail(Code::kNotFound,
                fmt::format("the trash of {} has no '{}'", hub_folder.string(), id));
  return lock(*std::move(trash), id);
}

Result<bool> OpenRecord::take(FolderAt const& from, std::string const& name,
                              std::size_t index) const {
  auto const moved = rename_at(from, name, folder_, std::to_string(index));
  if (moved) return true;
  if (moved.error().code == Code::kNotFound) return false;
  return fail(moved.error());
}

Status OpenRecord::give_back(std::size_t index, FolderAt const& to, std::string const& name) const {
  std::string const from = std::to_string(index);
  durable_step("put back");
  int const result =
      ::renameat2(folder_.fd.get(), from.c_str(), to.fd.get(), name.c_str(), RENAME_NOREPLACE);
  if (result == 0) return {};
  if (errno != EINVAL && errno != ENOSYS) return fail_errno("put back", to.in(name), errno);
  // A file system that cannot promise it: nothing better than to look first.
  if (stands_at(to, name)) return fail_errno("put back", to.in(name), EEXIST);
  return rename_at(folder_, from, to, name);
}

bool OpenRecord::holds(std::size_t index) const {
  return stands_at(folder_, std::to_string(index));
}

Result<TrashManifest> OpenRecord::manifest() const {
  ASSIGN_OR_RETURN(auto const file, os::open_at(folder_.fd.get(), kManifestName,
                                                O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat found{};
  if (::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode) ||
      static_cast<std::uint64_t>(found.st_size) > kMaxManifestBytes)
    return fail(Code::kDataLoss, folder_.in(kManifestName) + " is no regular file");
  std::string text(static_cast<std::size_t>(found.st_size), '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    ssize_t const got =
        ::pread(file.get(), text.data() + filled, text.size() - filled, static_cast<off_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail_errno("read", folder_.in(kManifestName), got < 0 ? errno : EIO);
    filled += static_cast<std::size_t>(got);
  }
  auto parsed = parse_manifest_json(text);
  if (!parsed) return fail(std::move(parsed).error().in(folder_.in(kManifestName)));
  return parsed;
}

Status OpenRecord::destroy() && {
  // The manifest first: without it, nobody tries to bring back a part of the rest.
  RETURN_IF_ERROR(remove_below(folder_, kManifestName));
  return remove_below(trash_, id_);
}

}  // namespace homelab::cache
