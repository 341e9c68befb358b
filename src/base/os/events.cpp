#include "base/os/events.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace homelab::os {

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("make", "a pipe", errno);
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  // Only our end: the flag belongs to the open file, and a child's standard output must block.
  if (::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return fail_errno("set up", "a pipe", errno);
  return pipe;
}

Result<std::optional<std::size_t>> read_available(int fd, std::span<char> into) {
  ssize_t got = 0;
  do {
    got = ::read(fd, into.data(), into.size());
  } while (got < 0 && errno == EINTR);
  if (got >= 0) return std::optional<std::size_t>(static_cast<std::size_t>(got));
  if (errno == EAGAIN || errno == EWOULDBLOCK) return std::optional<std::size_t>();
  return fail_errno("read", "a descriptor", errno);
}

Result<WakeUp> WakeUp::create() {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return fail_errno("make", "an event descriptor", errno);
  return WakeUp(std::move(fd));
}

void WakeUp::notify() const {
  std::uint64_t const one = 1;
  // The only possible failure is a full counter: then the reader is awake anyway.
  [[maybe_unused]] auto const written = ::write(fd_.get(), &one, sizeof one);
}

void WakeUp::clear() const {
  std::uint64_t count = 0;
  [[maybe_unused]] auto const got = ::read(fd_.get(), &count, sizeof count);
}

std::vector<int> wait_readable(std::vector<int> const& fds, std::chrono::milliseconds timeout) {
  std::vector<pollfd> waiting;
  waiting.reserve(fds.size());
  for (int const fd : fds) waiting.push_back({fd, POLLIN, 0});
  int const limit = timeout.count() < 0 ? -1 : static_cast<int>(timeout.count());
  std::vector<int> ready;
  if (::poll(waiting.data(), waiting.size(), limit) <= 0) return ready;
  for (auto const& entry : waiting) {
    if (entry.revents != 0) ready.push_back(entry.fd);
  }
  return ready;
}

std::optional<double> load_average() {
  double value = 0;
  if (::getloadavg(&value, 1) != 1) return std::nullopt;
  return value;
}

}  // namespace homelab::os
