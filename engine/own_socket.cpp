#include "own_socket.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <string_view>

namespace homelab::engine_process {
namespace {

using Bind = int (*)(int, sockaddr const*, socklen_t);

/// The C library's, behind the one this program exports.
Bind library_bind() {
  static auto const function = reinterpret_cast<Bind>(::dlsym(RTLD_NEXT, "bind"));
  return function;
}

/// By path. Changed before the core's threads start.
std::map<std::string, os::UniqueFd, std::less<>>& bound() {
  static std::map<std::string, os::UniqueFd, std::less<>> sockets;
  return sockets;
}

Result<os::UniqueFd> bind_one(std::string const& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(Code::kInvalidArgument,
                fmt::format("--host {}: a socket path has at most {} characters", path,
                            sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  // The socket interface is built on this cast.
  auto const* generic = reinterpret_cast<sockaddr const*>(&address);
  auto const make = [] { return os::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); };
  os::UniqueFd socket = make();
  if (!socket) return fail_errno("--host", path, errno);
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode))
      return fail(Code::kAlreadyExists, fmt::format("--host {}: exists and is not a socket", path));
    if (::connect(socket.get(), generic, sizeof address) == 0)
      return fail(Code::kAlreadyExists,
                  fmt::format("--host {}: another program listens there", path));
    RETURN_IF_ERROR(os::remove_file(path));
    socket = make();
  }
  if (library_bind()(socket.get(), generic, sizeof address) != 0)
    return fail_errno("--host", path, errno);
  return socket;
}

/// The socket bound to this address; -1 if it is none of ours.
int own_socket(sockaddr const* address, socklen_t length) {
  if (address == nullptr || address->sa_family != AF_UNIX || bound().empty()) return -1;
  // The socket interface is built on this cast.
  auto const* path = reinterpret_cast<sockaddr_un const*>(address)->sun_path;
  std::size_t const most = length - offsetof(sockaddr_un, sun_path);
  auto const found = bound().find(std::string_view(path, ::strnlen(path, most)));
  return found == bound().end() ? -1 : found->second.get();
}

}  // namespace

std::vector<std::string> socket_paths(std::vector<std::string> const& arguments) {
  std::vector<std::string> paths;
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (arguments[i] == "--host" && arguments[i + 1].ends_with(".sock"))
      paths.push_back(arguments[i + 1]);
  }
  return paths;
}

Result<OwnSockets> OwnSockets::bind(std::vector<std::string> const& paths) {
  OwnSockets sockets;
  for (auto const& path : paths) {
    ASSIGN_OR_RETURN(auto socket, bind_one(path));
    bound().insert_or_assign(path, std::move(socket));
    sockets.paths_.push_back(path);
  }
  return sockets;
}

OwnSockets::~OwnSockets() {
  for (auto const& path : paths_) (void)::unlink(path.c_str());
}

}  // namespace homelab::engine_process

// Same name and type as the C library's: the core's HTTP server finds this one first, because the
// executable exports it.
extern "C" int bind(int fd, sockaddr const* address, socklen_t length) noexcept {
  int const own = homelab::engine_process::own_socket(address, length);
  if (own < 0) return homelab::engine_process::library_bind()(fd, address, length);
  return ::dup3(own, fd, O_CLOEXEC) == fd ? 0 : -1;
}
