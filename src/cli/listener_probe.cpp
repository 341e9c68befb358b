#include "listener_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstdint>
#include <string>

#include "base/os/file.h"

namespace homelab::cli {
namespace {

/// A loopback address answers at once; only a listener that is choked lets one wait.
template <class Address>
bool refuses(int family, Address const& address) {
  os::UniqueFd const probe(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  struct timeval const patience{0, 50'000};
  if (!probe ||
      ::setsockopt(probe.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0)
    return false;
  auto const* const plain = reinterpret_cast<struct sockaddr const*>(&address);
  return ::connect(probe.get(), plain, sizeof(address)) != 0 && errno == ECONNREFUSED;
}

}  // namespace

bool certainly_nobody_listens(std::string_view host, int port) {
  if (port <= 0 || port > UINT16_MAX) return false;
  if (host.empty() || host == "*" || host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::" || host == "[::]" || host == "[::1]") host = "::1";
  std::string const text(host);
  struct sockaddr_in four{};
  if (::inet_pton(AF_INET, text.c_str(), &four.sin_addr) == 1) {
    constexpr std::uint32_t kLoopback = 127;
    if (ntohl(four.sin_addr.s_addr) >> 24U != kLoopback) return false;
    four.sin_family = AF_INET;
    four.sin_port = htons(static_cast<std::uint16_t>(port));
    return refuses(AF_INET, four);
  }
  struct sockaddr_in6 six{};
  if (::inet_pton(AF_INET6, text.c_str(), &six.sin6_addr) != 1 ||
      !IN6_IS_ADDR_LOOPBACK(&six.sin6_addr))
    return false;
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(static_cast<std::uint16_t>(port));
  return refuses(AF_INET6, six);
}

}  // namespace homelab::cli
