#include "folder_at.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "durable_step.h"

namespace homelab::cache {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

tl::unexpected<Error> not_a_folder(std::string const& shown) {
  return fail(Code::kFailedPrecondition,
              fmt::format("{} is a link or a file where a folder is expected; nothing is written "
                          "through it. Remove or rename it",
                          shown));
}

/// True while `name` still is the open file, regular and with no other name.
bool is_own_name(int folder, std::string const& name, int file) {
  struct stat mine{};
  struct stat named{};
  return ::fstat(file, &mine) == 0 && S_ISREG(mine.st_mode) && mine.st_nlink == 1 &&
         ::fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

/// Links, pipes and files with a second name are never ours: they are taken out of the way, not
/// written to.
bool is_foreign(int folder, std::string const& name) {
  struct stat named{};
  return ::fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         (!S_ISREG(named.st_mode) || named.st_nlink != 1);
}

/// An invalid descriptor: the name changed meanwhile, try again.
Result<os::UniqueFd> try_open_own(FolderAt const& folder, std::string const& name) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  int const directory = folder.fd.get();
  if (is_foreign(directory, name) && ::unlinkat(directory, name.c_str(), 0) != 0 && errno != ENOENT)
    return fail_errno("replace", folder.in(name), errno);
  durable_step("create file");
  os::UniqueFd file(::openat(directory, name.c_str(), kFlags, 0666));
  if (!file && errno != EINTR && errno != ELOOP)
    return fail_errno("create", folder.in(name), errno);
  return file;
}

Status lock_own(int file, std::string const& shown, bool wait) {
  int locked = 0;
  do {
    locked = ::flock(file, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
  } while (locked != 0 && errno == EINTR);
  if (locked == 0) return {};
  if (errno == EWOULDBLOCK)
    return fail(Code::kAborted, shown + " is being written by another process");
  // A file system without flock: unique names and the final hash check still hold.
  if (errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP) return {};
  return fail_errno("lock", shown, errno);
}

}  // namespace

Result<FolderAt> open_folder(os::Path const& path) {
  int const fd = ::open(path.c_str(), kFolderFlags);
  if (fd < 0) return fail_errno("open folder", path.string(), errno);
  return FolderAt{os::UniqueFd(fd), path.string()};
}

Result<FolderAt> open_sub(FolderAt const& parent, std::string const& name) {
  int const fd = ::openat(parent.fd.get(), name.c_str(), kFolderFlags | O_NOFOLLOW);
  if (fd >= 0) return FolderAt{os::UniqueFd(fd), parent.in(name)};
  if (errno == ELOOP || errno == ENOTDIR) return not_a_folder(parent.in(name));
  return fail_errno("open folder", parent.in(name), errno);
}

Result<FolderAt> make_sub(FolderAt const& parent, std::string const& name, bool* made) {
  auto opened = open_sub(parent, name);
  if (opened || opened.error().code != Code::kNotFound) return opened;
  durable_step("make folder");
  if (::mkdirat(parent.fd.get(), name.c_str(), 0777) == 0) {
    if (made) *made = true;
    if (!made) RETURN_IF_ERROR(sync(parent));
  } else if (errno != EEXIST) {
    return fail_errno("create folder", parent.in(name), errno);
  }
  return open_sub(parent, name);
}

Result<os::UniqueFd> open_own_file(FolderAt const& folder, std::string const& name, bool wait) {
  // Bounded: a planted name that cannot be taken away must not loop for ever.
  for (int tries = 0; tries < 100; ++tries) {
    ASSIGN_OR_RETURN(os::UniqueFd file, try_open_own(folder, name));
    if (!file) continue;
    RETURN_IF_ERROR(lock_own(file.get(), folder.in(name), wait));
    // Between opening and locking, the former owner may have finished and renamed the file: then it
    // is a blob now.
    if (is_own_name(folder.fd.get(), name, file.get())) return file;
  }
  return fail(Code::kAborted, folder.in(name) + " changes all the time; another program uses it");
}

Status replace_file(SmallFile const& where, std::string_view content) {
  ASSIGN_OR_RETURN(os::UniqueFd const file, open_own_file(where.scratch, where.temporary, true));
  auto const write = [&]() -> Status {
    if (::ftruncate(file.get(), 0) != 0)
      return fail_errno("empty", where.scratch.in(where.temporary), errno);
    durable_step("write small file");
    RETURN_IF_ERROR(os::write_all_at(file.get(), std::as_bytes(std::span(content)), 0));
    durable_step("sync small file");
    RETURN_IF_ERROR(os::sync_data(file.get()));
    return rename_at(where.scratch, where.temporary, where.target, where.name);
  };
  if (auto written = write(); !written) {
    ::unlinkat(where.scratch.fd.get(), where.temporary.c_str(), 0);
    return fail(std::move(written).error().in("write " + where.target.in(where.name)));
  }
  return sync(where.target);
}

Status rename_at(FolderAt const& from, std::string const& old_name, FolderAt const& to,
                 std::string const& new_name) {
  durable_step("rename");
  if (::renameat(from.fd.get(), old_name.c_str(), to.fd.get(), new_name.c_str()) != 0) {
    if (errno == EISDIR || errno == ENOTEMPTY) {
      return fail(Code::kFailedPrecondition,
                  to.in(new_name) + " is a folder where a file is expected; remove or rename it");
    }
    return fail_errno("rename to", to.in(new_name), errno);
  }
  return {};
}

Status sync(FolderAt const& folder) {
  durable_step("sync folder");
  // Some network file systems refuse fsync on folders; their servers order metadata themselves.
  if (::fsync(folder.fd.get()) != 0 && errno != EINVAL && errno != ENOTSUP)
    return fail_errno("sync folder", folder.shown, errno);
  return {};
}

Result<std::string> read_regular_file(os::Path const& path, std::size_t limit_bytes) {
  ASSIGN_OR_RETURN(os::UniqueFd const file, os::open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat found{};
  if (::fstat(file.get(), &found) != 0) return fail_errno("look at", path.string(), errno);
  if (!S_ISREG(found.st_mode))
    return fail(Code::kFailedPrecondition, path.string() + " is not a regular file");
  if (static_cast<std::uint64_t>(found.st_size) > limit_bytes) {
    return fail(Code::kResourceExhausted,
                fmt::format("{} is larger than {} bytes", path.string(), limit_bytes));
  }
  std::string content(static_cast<std::size_t>(found.st_size), '\0');
  std::size_t filled = 0;
  while (filled < content.size()) {
    ssize_t const got = ::pread(file.get(), content.data() + filled, content.size() - filled,
                                static_cast<off_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read", path.string(), errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  content.resize(filled);
  return content;
}

}  // namespace homelab::cache
