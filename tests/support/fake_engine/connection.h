#pragma once
// One HTTP/1.1 exchange on a connected socket, blocking. Throws std::runtime_error when the other
// side is gone.
#include <string>
#include <string_view>

namespace homelab::fake_engine {

struct Request {
  std::string method, target, body;
};

class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  Connection(Connection const&) = delete;
  Connection& operator=(Connection const&) = delete;
  ~Connection();

  [[nodiscard]] Request read_request();
  void answer(int status, std::string_view body);
  void begin_stream();
  void send_event(std::string_view data);
  void end_stream();
  /// Waits until the client closes its side.
  void wait_until_client_leaves();
  /// True when the client has closed its side.
  [[nodiscard]] bool client_left() const;

 private:
  void send_all(std::string_view bytes);
  [[nodiscard]] std::string receive();
  int const fd_;
};

}  // namespace homelab::fake_engine
