#include "base/os/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/hash.h"

namespace homelab::os {

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int UniqueFd::release() { return std::exchange(fd_, -1); }

void UniqueFd::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<UniqueFd> open_at(int directory, std::string const& name, int flags, mode_t mode) {
  while (true) {
    int const fd = ::openat(directory, name.c_str(), flags | O_CLOEXEC, mode);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != EINTR) return fail_errno("open", name, errno);
  }
}

Result<UniqueFd> open_file(Path const& path, int flags, mode_t mode) {
  return open_at(AT_FDCWD, path.string(), flags, mode);
}

Result<std::string> read_file(Path const& path, std::size_t limit_bytes) {
  ASSIGN_OR_RETURN(UniqueFd const file, open_file(path, O_RDONLY));
  std::string content;
  std::size_t filled = 0;
  while (true) {
    constexpr std::size_t kStep = 64UL * 1024;
    content.resize(filled + kStep);
    ssize_t const got = ::read(file.get(), content.data() + filled, kStep);
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail_errno("read", path.string(), errno);
    }
    filled += static_cast<std::size_t>(got);
    if (filled > limit_bytes) {
      return fail(Code::kResourceExhausted,
                  fmt::format("read {}: larger than {} bytes", path.string(), limit_bytes));
    }
    if (got == 0) break;
  }
  content.resize(filled);
  return content;
}

Status write_all_at(int fd, std::span<std::byte const> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    ssize_t const written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail_errno("write", fmt::format("{} bytes", bytes.size()), errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

Status write_file_durably(Path const& path, std::string_view content) {
  Path const temporary = path.string() + "." + random_hex(4) + ".tmp";
  auto write = [&]() -> Status {
    ASSIGN_OR_RETURN(UniqueFd const file,
                     open_file(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW));
    RETURN_IF_ERROR(write_all_at(file.get(), std::as_bytes(std::span(content)), 0));
    RETURN_IF_ERROR(sync_data(file.get()));
    return rename_file(temporary, path);
  };
  if (Status const written = write(); !written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync_folder(path.parent_path());
}

Status sync_data(int fd) {
  if (::fdatasync(fd) != 0) return fail_errno("sync", "file", errno);
  return {};
}

Status sync_folder(Path const& folder) {
  ASSIGN_OR_RETURN(UniqueFd const handle,
                   open_file(folder.empty() ? Path(".") : folder, O_RDONLY | O_DIRECTORY));
  // Some network file systems refuse fsync on folders; their servers order metadata themselves.
  if (::fsync(handle.get()) != 0 && errno != EINVAL && errno != ENOTSUP)
    return fail_errno("sync folder", folder.string(), errno);
  return {};
}

Status make_folders(Path const& folder) {
  // "a/b/" and "a/b" are one folder, but only the second has "a" as its parent.
  if (!folder.has_filename() && folder.has_relative_path())
    return make_folders(folder.parent_path());
  std::error_code ignored;
  if (folder.empty() || std::filesystem::is_directory(folder, ignored)) return {};
  RETURN_IF_ERROR(make_folders(folder.parent_path()));
  if (::mkdir(folder.c_str(), 0777) != 0) {
    int const error = errno;
    if (error == EEXIST && std::filesystem::is_directory(folder, ignored)) return {};
    return fail_errno("create folder", folder.string(), error);
  }
  // Whatever is made durable below it is lost in a power cut together with its name. A folder that
  // may be written to but not read cannot be synced.
  auto synced = sync_folder(folder.parent_path());
  if (!synced && synced.error().code == Code::kPermissionDenied) return {};
  return synced;
}

Status rename_file(Path const& from, Path const& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return fail_errno("rename", fmt::format("{} to {}", from.string(), to.string()), errno);
  return {};
}

Status remove_file(Path const& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail_errno("remove", path.string(), errno);
  return {};
}

Result<struct stat> stat_link(Path const& path) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return fail_errno("look at", path.string(), errno);
  return found;
}

Result<struct stat> stat_target(Path const& path) {
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0) return fail_errno("look at", path.string(), errno);
  return found;
}

Result<DiskSpace> disk_space(Path const& path) {
  Path probe = path.is_absolute() ? path : std::filesystem::current_path() / path;
  struct statvfs found{};
  while (::statvfs(probe.c_str(), &found) != 0) {
    if (errno != ENOENT || !probe.has_relative_path())
      return fail_errno("ask free space of", path.string(), errno);
    probe = probe.parent_path();
  }
  std::uint64_t const block = found.f_frsize;
  return DiskSpace{found.f_bavail * block, found.f_blocks * block};
}

}  // namespace homelab::os
