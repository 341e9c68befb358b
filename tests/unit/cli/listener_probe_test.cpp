#include "listener_probe.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/os/file.h"

namespace homelab::cli {
namespace {

/// A socket bound to a free port of 127.0.0.1, listening or not.
class Bound {
 public:
  explicit Bound(bool listening) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    struct sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const plain = reinterpret_cast<struct sockaddr*>(&address);
    bool const good = ::bind(socket_.get(), plain, size) == 0 &&
                      ::getsockname(socket_.get(), plain, &size) == 0 &&
                      (!listening || ::listen(socket_.get(), 1) == 0);
    EXPECT_TRUE(good);
    port_ = ntohs(address.sin_port);
  }
  [[nodiscard]] int port() const { return port_; }

 private:
  os::UniqueFd socket_;
  int port_ = 0;
};

TEST(ListenerProbe, a_port_that_refuses_has_no_server) {
  Bound const quiet(false);
  for (auto const* host : {"127.0.0.1", "0.0.0.0", "*", ""})
    EXPECT_TRUE(certainly_nobody_listens(host, quiet.port())) << host;
}

TEST(ListenerProbe, a_port_that_somebody_listens_at_is_not_ruled_out) {
  Bound const server(true);
  EXPECT_FALSE(certainly_nobody_listens("127.0.0.1", server.port()));
}

TEST(ListenerProbe, names_and_addresses_of_other_machines_are_left_to_the_client) {
  Bound const quiet(false);
  for (auto const* host : {"localhost", "nas.local", "192.0.2.1", "2001:db8::1", "127.0.0.1.nip"})
    EXPECT_FALSE(certainly_nobody_listens(host, quiet.port())) << host;
}

TEST(ListenerProbe, a_port_that_is_none_is_left_to_the_client) {
  EXPECT_FALSE(certainly_nobody_listens("127.0.0.1", 0));
  EXPECT_FALSE(certainly_nobody_listens("127.0.0.1", 70000));
}

}  // namespace
}  // namespace homelab::cli
