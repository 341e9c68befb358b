#pragma once
// The other side of a connection, byte by byte: what no well-behaved client can send.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/os/file.h"
#include "http/server.h"

namespace homelab::http::test {

/// A plain blocking TCP client. Reads give up after ten seconds, which fails the test.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("test client cannot connect");
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t const count = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;  // the server may refuse early; the test looks at what it said
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  void shutdown_send() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }

  /// One more piece into received(); false at the end of the stream.
  bool receive_some() {
    pollfd waiting{fd_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, 10000) <= 0)
      throw std::runtime_error("the server said nothing: " + got_);
    char buffer[4096];
    ssize_t const count = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (count > 0) got_.append(buffer, static_cast<std::size_t>(count));
    return count > 0;
  }
  std::string read_to_end() {
    while (receive_some()) {
    }
    return std::exchange(got_, {});
  }
  /// Up to and including `mark`; what follows is kept for the next read.
  std::string read_until(std::string_view mark) {
    std::size_t at;
    while ((at = got_.find(mark)) == std::string::npos) {
      if (!receive_some()) throw std::runtime_error("the server closed after: " + got_);
    }
    std::string const result = got_.substr(0, at + mark.size());
    got_.erase(0, result.size());
    return result;
  }
  std::string read_bytes(std::size_t count) {
    while (got_.size() < count) {
      if (!receive_some()) throw std::runtime_error("the server closed after: " + got_);
    }
    std::string const result = got_.substr(0, count);
    got_.erase(0, count);
    return result;
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  os::UniqueFd fd_;
  std::string got_;
};

/// One request, everything the server says until it closes.
inline std::string talk(int port, std::string_view request) {
  RawClient client(port);
  client.send(request);
  return client.read_to_end();
}

inline std::string get(std::string const& target, std::string const& more_fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more_fields + "\r\n";
}

inline std::string body_of(std::string const& answer) {
  std::size_t const end = answer.find("\r\n\r\n");
  return end == std::string::npos ? std::string() : answer.substr(end + 4);
}

/// Loops and a server on a free port of this machine.
struct RunningServer {
  explicit RunningServer(Router router, ServerOptions options = {})
      : loops(std::make_unique<IoLoops>(2)) {
    options.port = 0;
    auto started = Server::start(*loops, std::move(options), std::move(router));
    if (!started) throw std::runtime_error(started.error().message);
    server = std::move(*started);
  }
  [[nodiscard]] int port() const { return server->port(); }
  [[nodiscard]] std::string url(std::string const& target) const {
    return "http://127.0.0.1:" + std::to_string(port()) + target;
  }

  std::unique_ptr<IoLoops> loops;
  std::unique_ptr<Server> server;
};

inline Response text(std::string body, int status = 200) {
  Response response;
  response.status = status;
  response.headers.set("content-type", "text/plain");
  response.body = std::move(body);
  return response;
}

}  // namespace homelab::http::test
