#include "connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "base/strings.h"

namespace homelab::fake_engine {

Connection::~Connection() { ::close(fd_); }

std::string Connection::receive() {
  std::array<char, 4096> buffer{};
  ssize_t const got = ::recv(fd_, buffer.data(), buffer.size(), 0);
  if (got <= 0) throw std::runtime_error("the client left");
  return std::string(buffer.data(), static_cast<std::size_t>(got));
}

void Connection::send_all(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t const sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) throw std::runtime_error("the client left");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

Request Connection::read_request() {
  std::string text;
  std::size_t end = std::string::npos;
  while ((end = text.find("\r\n\r\n")) == std::string::npos) text += receive();
  Request request;
  auto const head = text.substr(0, end);
  auto const words = split(std::string_view(head).substr(0, head.find("\r\n")), ' ');
  request.method = words.at(0);
  request.target = words.at(1);
  std::size_t length = 0;
  for (auto const line : split(head, '\n')) {
    auto const lower = to_lower(trim(line));
    constexpr std::string_view kName = "content-length:";
    if (lower.starts_with(kName))
      length = parse_uint(trim(std::string_view(lower).substr(kName.size()))).value_or(0);
  }
  request.body = text.substr(end + 4);
  while (request.body.size() < length) request.body += receive();
  return request;
}

void Connection::answer(int status, std::string_view body) {
  send_all(
      fmt::format("HTTP/1.1 {} X\r\nContent-Type: application/json\r\nContent-Length: "
                  "{}\r\nConnection: close\r\n\r\n{}",
                  status, body.size(), body));
}

void Connection::begin_stream() {
  send_all(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
      "Connection: close\r\n\r\n");
}

void Connection::send_event(std::string_view data) {
  std::string const event = fmt::format("data: {}\n\n", data);
  send_all(fmt::format("{:x}\r\n{}\r\n", event.size(), event));
}

void Connection::end_stream() { send_all("0\r\n\r\n"); }

bool Connection::client_left() const {
  char byte = 0;
  return ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void Connection::wait_until_client_leaves() {
  while (!client_left()) {
    pollfd waiting{fd_, POLLIN, 0};
    ::poll(&waiting, 1, 1000);
  }
}

}  // namespace homelab::fake_engine
