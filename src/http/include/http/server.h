#pragma once
// HTTP/1.1 server: Beast inside, plain handlers outside.
#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "http/router.h"

namespace homelab::http {

class IoLoops;

struct ServerOptions {
  std::string host = "127.0.0.1";
  int port = 8000;  ///< 0 = any free port
  std::size_t max_connections = 1024;
  std::size_t header_limit_bytes = 16UL * 1024;
  std::chrono::seconds header_timeout{15};
  std::chrono::seconds body_timeout{60};
  std::chrono::seconds idle_timeout{75};
  std::size_t handler_threads = 4;
  std::size_t handler_queue = 512;  ///< requests waiting for a handler thread; more get 503
  std::size_t stream_buffer_bytes = 1 << 20;  ///< bound of one StreamChannel
};

/// I/O loops (threads with one io_context each) shared by the server and the local client. Join
/// happens in the destructor, after stop().
class IoLoops {
 public:
  explicit IoLoops(std::size_t threads);
  ~IoLoops();
  IoLoops(IoLoops const&) = delete;
  IoLoops& operator=(IoLoops const&) = delete;
  struct Impl;
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

class Server {
 public:
  /// Binds and listens; errors name address and port ("port 8000 on 127.0.0.1 is taken by another
  /// program; choose another with --port").
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(IoLoops& loops, ServerOptions options,
                                                             Router router);
  virtual ~Server() = default;

  [[nodiscard]] virtual int port() const = 0;
  /// Stops accepting, closes idle connections; running answers get `grace` to end properly, then
  /// are cut. Blocks until all connections are gone.
  virtual void stop(std::chrono::milliseconds grace) = 0;
};

}  // namespace homelab::http
