#include "lifeline.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>

namespace homelab::engine_process {
namespace {

[[noreturn]] void wait_for_end(int fd) {
  std::array<char, 64> ignored{};
  while (true) {
    ssize_t const got = ::read(fd, ignored.data(), ignored.size());
    if (got > 0 || (got < 0 && errno == EINTR)) continue;
    // _exit: destructors would wait for threads that are computing for a client who is gone.
    ::_exit(0);
  }
}

}  // namespace

Status watch_lifeline(int fd) {
  int const flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY) {
    return fail(
        Code::kInvalidArgument,
        fmt::format("--lifeline-fd {}: expected a descriptor that is open for reading", fd));
  }
  // A non-blocking descriptor would report EAGAIN, which is not the server's death.
  if (::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
    return fail_errno("--lifeline-fd", std::to_string(fd), errno);
  std::thread(wait_for_end, fd).detach();
  return {};
}

}  // namespace homelab::engine_process
