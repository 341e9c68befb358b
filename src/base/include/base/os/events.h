#pragma once
// Waiting for several descriptors at once, and the two descriptors most often waited for.
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "base/os/file.h"
#include "base/result.h"

namespace homelab::os {

/// A pipe: what is written to `write_end` is read from `read_end`. Both are close-on-exec; reading
/// does not block.
struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};
[[nodiscard]] Result<Pipe> make_pipe();

/// Bytes read from a non-blocking descriptor: 0 = end of file, nullopt = nothing there now.
[[nodiscard]] Result<std::optional<std::size_t>> read_available(int fd, std::span<char> into);

/// Wakes a thread that waits in wait_readable(). Thread-safe.
class WakeUp {
 public:
  [[nodiscard]] static Result<WakeUp> create();
  [[nodiscard]] int fd() const { return fd_.get(); }
  void notify() const;
  /// Takes back all notifications so far.
  void clear() const;

 private:
  explicit WakeUp(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

/// Those of `fds` that can be read (or are at their end) now or within `timeout`; negative =
/// without limit.
[[nodiscard]] std::vector<int> wait_readable(std::vector<int> const& fds,
                                             std::chrono::milliseconds timeout);

/// Load average of the machine over the last minute.
[[nodiscard]] std::optional<double> load_average();

}  // namespace homelab::os
