#include "sandbox/self_check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

#include "base/os/file.h"

namespace homelab::engine_process {
namespace {

/// The sandbox's ways of saying no: the filter's, and Landlock's.
bool was_refused(long result) { return result < 0 && (errno == EPERM || errno == EACCES); }

bool cannot_make_socket(int family, int type) {
  os::UniqueFd const made(::socket(family, type | SOCK_CLOEXEC, 0));
  return was_refused(made.get());
}

bool cannot_connect() {
  os::UniqueFd const made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, "/nonexistent", sizeof "/nonexistent");
  // The socket interface is built on this cast.
  return was_refused(
      ::connect(made.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address));
}

bool cannot_open(std::string const& path, int flags) {
  os::UniqueFd const opened(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  bool const refused = was_refused(opened.get());
  if (opened && (flags & O_CREAT) != 0) ::unlink(path.c_str());
  return refused;
}

bool cannot_run() {
  char const* const arguments[] = {"/nonexistent", nullptr};
  // The interface is older than const.
  return was_refused(::execve(arguments[0], const_cast<char* const*>(arguments), nullptr));
}

bool cannot_fork() {
  pid_t const child = ::fork();
  if (child == 0) ::_exit(0);
  return was_refused(child);
}

std::string new_name() {
  std::error_code ignored;
  auto const folder = std::filesystem::temp_directory_path(ignored);
  return (folder / ("homelab-llm-check-" + std::to_string(::getpid()))).string();
}

}  // namespace

json::object try_forbidden() {
  return {{"tcp", cannot_make_socket(AF_INET, SOCK_STREAM)},
          {"tcp6", cannot_make_socket(AF_INET6, SOCK_STREAM)},
          {"udp", cannot_make_socket(AF_INET, SOCK_DGRAM)},
          {"netlink", cannot_make_socket(AF_NETLINK, SOCK_RAW)},
          {"connect", cannot_connect()},
          {"execute", cannot_run()},
          {"fork", cannot_fork()},
          {"trace", was_refused(::ptrace(PTRACE_ATTACH, 0, nullptr, nullptr))},
          {"signal", was_refused(::kill(::getppid(), 0))},
          {"create", cannot_open(new_name(), O_WRONLY | O_CREAT | O_EXCL)},
          {"write", cannot_open("/proc/self/comm", O_WRONLY)},
          {"read", cannot_open("/etc/passwd", O_RDONLY)}};
}

}  // namespace homelab::engine_process
