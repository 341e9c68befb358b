#pragma once
// What the connections of one server share.
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>

#include "handler_pool.h"
#include "http/router.h"
#include "http/server.h"

namespace homelab::http {

namespace asio = boost::asio;
class Connection;
struct ServerCore;

/// The connections of one I/O loop. Used on that loop's thread only.
class LoopSlot : public std::enable_shared_from_this<LoopSlot> {
 public:
  explicit LoopSlot(asio::io_context& io) : io_(io) {}

  [[nodiscard]] asio::io_context& io() { return io_; }
  void add(std::shared_ptr<Connection> connection);
  void remove(std::shared_ptr<Connection> const& connection);
  /// Idle connections close now, the others after their answer.
  void begin_stop();
  /// Everything closes now.
  void cut_all();

 private:
  void tick();

  asio::io_context& io_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::optional<asio::steady_timer> timer_;  // exists only while there are connections
};

/// Owned by the server and by every connection, so that it outlives both.
struct ServerCore {
  ServerOptions options;
  Router router;
  HandlerPool* pool = nullptr;  ///< the server's; joined before the server goes
  std::atomic<bool> stopping{false};

  std::atomic<std::size_t> open_connections{0};
  std::mutex mutex;
  std::condition_variable all_closed;

  void connection_closed() {
    std::lock_guard const guard(mutex);
    if (open_connections.fetch_sub(1) == 1) all_closed.notify_all();
  }
};

}  // namespace homelab::http
