#include "http/server.h"

#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <vector>

#include "base/log.h"
#include "connection.h"
#include "io_loops.h"
#include "server_core.h"

namespace homelab::http {
namespace {

using asio::ip::tcp;
using boost::system::error_code;

constexpr std::chrono::milliseconds kTick{500};
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::string_view kTooManyConnections =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    "content-length: 48\r\nconnection: close\r\n\r\n"
    R"({"detail":"The server has too many connections"})";
static_assert(kTooManyConnections.size() - kTooManyConnections.find('{') == 48);

/// Runs `function` on a loop and waits for it. Not from a loop's own thread.
template <class Function>
void run_on(asio::io_context& io, Function function) {
  std::promise<void> done;
  asio::post(io, [&] {
    function();
    done.set_value();
  });
  done.get_future().wait();
}

/// Gives out new connections. Lives on loop 0.
class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  Acceptor(asio::io_context& io, std::shared_ptr<ServerCore> core,
           std::vector<std::shared_ptr<LoopSlot>> slots)
      : acceptor_(io), pause_(io), core_(std::move(core)), slots_(std::move(slots)) {}

  Status listen(ServerOptions const& options);
  [[nodiscard]] int port() const { return port_; }
  void accept_next();
  void close() {
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  }

 private:
  void take(tcp::socket socket, LoopSlot& slot);
  void pause_then_accept();

  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::shared_ptr<ServerCore> core_;
  std::vector<std::shared_ptr<LoopSlot>> slots_;
  std::size_t next_ = 0;
  int port_ = 0;
  bool complained_ = false;
};

tl::unexpected<Error> bind_error(ServerOptions const& options, error_code error) {
  std::string const where = fmt::format("port {} on {}", options.port, options.host);
  if (error == asio::error::address_in_use) {
    return fail(Code::kUnavailable,
                where + " is taken by another program; choose another with --port");
  }
  if (error == asio::error::access_denied) {
    return fail(Code::kPermissionDenied,
                where + " may not be used by this user; choose a port above 1023 with --port");
  }
  return fail(Code::kUnavailable, fmt::format("cannot listen on {}: {}", where, error.message()));
}

Result<asio::ip::address> address_of(std::string const& host) {
  std::string const name = host == "localhost" ? "127.0.0.1" : host;
  error_code error;
  auto address = asio::ip::make_address(name, error);
  if (error) {
    return fail(
        Code::kInvalidArgument,
        fmt::format("'{}' is not an IP address to listen on; use 127.0.0.1 for this machine "
                    "only or 0.0.0.0 for all networks",
                    host));
  }
  return address;
}

Status Acceptor::listen(ServerOptions const& options) {
  ASSIGN_OR_RETURN(auto const address, address_of(options.host));
  if (options.port < 0 || options.port > 65535)
    return fail(Code::kInvalidArgument, fmt::format("port {} is not in 0..65535", options.port));
  tcp::endpoint const endpoint(address, static_cast<unsigned short>(options.port));
  error_code error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (!error) port_ = acceptor_.local_endpoint(error).port();
  if (error) return bind_error(options, error);
  return {};
}

void Acceptor::accept_next() {
  auto const slot = slots_[next_++ % slots_.size()];
  acceptor_.async_accept(
      slot->io(), [self = shared_from_this(), slot](error_code error, tcp::socket socket) {
        if (!self->acceptor_.is_open()) return;
        if (!error) {
          self->complained_ = false;
          self->take(std::move(socket), *slot);
        } else if (error == asio::error::no_descriptors || error == asio::error::no_memory ||
                   error == asio::error::no_buffer_space) {
          if (!std::exchange(self->complained_, true))
            logger("http")->error("cannot take a connection: {}; trying again", error.message());
          self->pause_then_accept();
          return;
        }
        self->accept_next();
      });
}

void Acceptor::pause_then_accept() {
  pause_.expires_after(kAcceptPause);
  pause_.async_wait([self = shared_from_this()](error_code error) {
    if (!error && self->acceptor_.is_open()) self->accept_next();
  });
}

void Acceptor::take(tcp::socket socket, LoopSlot& slot) {
  if (core_->open_connections >= core_->options.max_connections) {
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(kTooManyConnections), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
    return;
  }
  ++core_->open_connections;
  auto connection = std::make_shared<Connection>(core_, slot.shared_from_this(), std::move(socket));
  asio::post(slot.io(), [connection = std::move(connection), keep = slot.shared_from_this()] {
    keep->add(connection);
    connection->start();
  });
}

class BeastServer final : public Server {
 public:
  BeastServer(IoLoops::Impl& loops, ServerOptions options, Router router)
      : loops_(loops), core_(std::make_shared<ServerCore>()) {
    core_->options = std::move(options);
    core_->router = std::move(router);
    pool_ =
        std::make_unique<HandlerPool>(core_->options.handler_threads, core_->options.handler_queue);
    core_->pool = pool_.get();
    for (std::size_t i = 0; i < loops_.size(); ++i)
      slots_.push_back(std::make_shared<LoopSlot>(loops_.io(i)));
    acceptor_ = std::make_shared<Acceptor>(loops_.io(0), core_, slots_);
  }
  ~BeastServer() override { stop(std::chrono::milliseconds(0)); }
  BeastServer(BeastServer const&) = delete;
  BeastServer& operator=(BeastServer const&) = delete;

  Status listen() {
    RETURN_IF_ERROR(acceptor_->listen(core_->options));
    asio::post(loops_.io(0), [acceptor = acceptor_] { acceptor->accept_next(); });
    return {};
  }

  int port() const override { return acceptor_->port(); }

  void stop(std::chrono::milliseconds grace) override {
    if (core_->stopping.exchange(true)) return;
    run_on(loops_.io(0), [this] { acceptor_->close(); });
    for (auto const& slot : slots_) run_on(slot->io(), [&] { slot->begin_stop(); });
    if (!wait_until_closed(grace)) {
      for (auto const& slot : slots_) run_on(slot->io(), [&] { slot->cut_all(); });
      wait_until_closed(std::chrono::hours(1));
    }
    pool_->stop();
  }

 private:
  bool wait_until_closed(std::chrono::milliseconds at_most) {
    std::unique_lock lock(core_->mutex);
    return core_->all_closed.wait_for(lock, at_most, [&] { return core_->open_connections == 0; });
  }

  IoLoops::Impl& loops_;
  std::shared_ptr<ServerCore> core_;
  std::unique_ptr<HandlerPool> pool_;
  std::vector<std::shared_ptr<LoopSlot>> slots_;
  std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace

void LoopSlot::add(std::shared_ptr<Connection> connection) {
  connections_.insert(std::move(connection));
  if (!timer_) {
    timer_.emplace(io_);
    tick();
  }
}

void LoopSlot::remove(std::shared_ptr<Connection> const& connection) {
  connections_.erase(connection);
  if (connections_.empty()) timer_.reset();
}

void LoopSlot::tick() {
  timer_->expires_after(kTick);
  timer_->async_wait([self = shared_from_this()](error_code error) {
    if (error || !self->timer_) return;
    auto const now = std::chrono::steady_clock::now();
    auto const snapshot = self->connections_;  // closing one changes the set
    for (auto const& connection : snapshot) connection->check_deadline(now);
    if (self->timer_) self->tick();
  });
}

void LoopSlot::begin_stop() {
  auto const snapshot = connections_;
  for (auto const& connection : snapshot) connection->begin_stop();
}

void LoopSlot::cut_all() {
  auto const snapshot = connections_;
  for (auto const& connection : snapshot) connection->close();
}

Result<std::unique_ptr<Server>> Server::start(IoLoops& loops, ServerOptions options,
                                              Router router) {
  auto server = std::make_unique<BeastServer>(loops.impl(), std::move(options), std::move(router));
  RETURN_IF_ERROR(server->listen());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace homelab::http
