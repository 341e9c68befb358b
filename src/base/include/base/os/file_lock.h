#pragma once
// flock(2) locks as the Hub's Python client takes them (hf-cache rules, §4).
#include <chrono>
#include <functional>
#include <optional>

#include "base/os/file.h"
#include "base/result.h"

namespace homelab::os {

/// An exclusive flock on a lock file. Released when it goes; the file itself is never removed or
/// truncated.
class FileLock {
 public:
  /// Creates the file when needed (mode 0664 whatever the umask, O_NOFOLLOW) and tries once.
  /// nullopt: somebody else holds it. After success the path still names the locked inode (other
  /// programs unlink).
  [[nodiscard]] static Result<std::optional<FileLock>> try_take(Path const& path);

  /// Polls every 50 ms until taken. `give_up` is asked between tries; true ends with kCancelled.
  [[nodiscard]] static Result<FileLock> take(Path const& path,
                                             std::function<bool()> const& give_up);

  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&&) noexcept = default;

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace homelab::os
