#pragma once
// The file system calls the program makes, with errors as values. Thread-safe; nothing is cached.
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace homelab::os {

/// Owns one file descriptor; closes it when it goes.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(UniqueFd const&) = delete;
  UniqueFd& operator=(UniqueFd const&) = delete;
  ~UniqueFd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  explicit operator bool() const { return valid(); }
  int release();
  void reset();

 private:
  int fd_ = -1;
};

using Path = std::filesystem::path;

/// open(2) with O_CLOEXEC added; retries EINTR.
[[nodiscard]] Result<UniqueFd> open_file(Path const& path, int flags, mode_t mode = 0666);
/// openat(2), likewise. `name` is shown in errors.
[[nodiscard]] Result<UniqueFd> open_at(int directory, std::string const& name, int flags,
                                       mode_t mode = 0666);
/// Whole file, at most `limit_bytes` (kResourceExhausted above).
[[nodiscard]] Result<std::string> read_file(Path const& path, std::size_t limit_bytes);
/// All bytes at `offset`; handles short writes.
[[nodiscard]] Status write_all_at(int fd, std::span<std::byte const> bytes, std::uint64_t offset);
/// Content appears under `path` completely or not at all: temporary sibling, fsync, rename, fsync
/// of the folder. The temporary is "<name>.<8 hex>.tmp". Mode is 0666 & ~umask.
[[nodiscard]] Status write_file_durably(Path const& path, std::string_view content);
[[nodiscard]] Status sync_data(int fd);
/// fsync of a folder, so that names made or renamed in it survive a power cut.
[[nodiscard]] Status sync_folder(Path const& folder);
/// mkdir -p with mode 0777 & ~umask.
[[nodiscard]] Status make_folders(Path const& folder);
/// rename(2).
[[nodiscard]] Status rename_file(Path const& from, Path const& to);
/// unlink(2); a missing file is no error.
[[nodiscard]] Status remove_file(Path const& path);
/// lstat/stat that give kNotFound when nothing is there.
[[nodiscard]] Result<struct stat> stat_link(Path const& path);
[[nodiscard]] Result<struct stat> stat_target(Path const& path);

struct DiskSpace {
  std::uint64_t free_bytes;  ///< available to this user
  std::uint64_t total_bytes;
};
/// Of the file system that holds `path` or its nearest existing parent.
[[nodiscard]] Result<DiskSpace> disk_space(Path const& path);

}  // namespace homelab::os
