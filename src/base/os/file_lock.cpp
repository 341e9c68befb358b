#include "base/os/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <thread>

namespace homelab::os {
namespace {

constexpr mode_t kLockMode = 0664;
constexpr auto kPollInterval = std::chrono::milliseconds(50);

/// Opens or creates; the creator widens the mode so that other users of a shared cache can lock
/// too.
Result<UniqueFd> open_lock_file(Path const& path) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  auto created = open_file(path, kFlags | O_EXCL, kLockMode);
  if (created) {
    ::fchmod(created->get(), kLockMode);
    return created;
  }
  if (created.error().code != Code::kAlreadyExists) return created;
  return open_file(path, kFlags, kLockMode);
}

/// Old clients unlink a lock file while releasing it; a lock on a nameless inode excludes nobody.
bool still_named(int fd, Path const& path) {
  struct stat mine{};
  struct stat named{};
  return ::fstat(fd, &mine) == 0 && mine.st_nlink > 0 && ::lstat(path.c_str(), &named) == 0 &&
         mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

}  // namespace

Result<std::optional<FileLock>> FileLock::try_take(Path const& path) {
  while (true) {
    ASSIGN_OR_RETURN(UniqueFd file, open_lock_file(path));
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return std::optional<FileLock>();
      return fail_errno("lock", path.string(), errno);
    }
    if (still_named(file.get(), path)) return std::optional<FileLock>(FileLock(std::move(file)));
  }
}

Result<FileLock> FileLock::take(Path const& path, std::function<bool()> const& give_up) {
  while (true) {
    ASSIGN_OR_RETURN(std::optional<FileLock> lock, try_take(path));
    if (lock) return std::move(*lock);
    if (give_up && give_up()) return fail(Code::kCancelled, "gave up waiting for " + path.string());
    std::this_thread::sleep_for(kPollInterval);
  }
}

}  // namespace homelab::os
