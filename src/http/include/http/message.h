#pragma once
// What a route sees: plain values, free of sockets.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/os/file.h"

namespace homelab::http {

/// Header fields in order; names compare without case.
class Headers {
 public:
  void set(std::string_view name, std::string_view value);  ///< replaces all of that name
  void add(std::string_view name, std::string_view value);
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> const& fields() const {
    return fields_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Request {
  std::string method;
  std::string target;  ///< as sent, for example "/api/models/a%20b?x=1"
  std::string path;    ///< raw path part of target, still percent-encoded
  std::string query;   ///< raw, without '?'
  Headers headers;
  std::string body;
  std::string remote;      ///< "127.0.0.1:50312"
  std::string_view route;  ///< pattern of the route, lives as long as the router; "" when none
  std::chrono::steady_clock::time_point begun{};  ///< its head was complete
  /// What Router::before_all() noted about it; lives until the answer is sent or nobody waits for
  /// it any more.
  std::shared_ptr<void> visit;
  /// Values of {name} segments of the route, percent-decoded once; {name...} (rest of the path)
  /// stays encoded.
  std::vector<std::pair<std::string, std::string>> path_values;

  [[nodiscard]] std::string path_value(std::string_view name) const;  ///< "" when there is none
  /// First value of a query key, decoded ('+' is a blank); nullopt if absent.
  [[nodiscard]] std::optional<std::string> query_value(std::string_view name) const;
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

/// A file (or a part of it) sent with sendfile(2). The server adds Content-Length and answers Range
/// (206/416), If-Range, HEAD. `headers` should hold ETag and Content-Type.
struct FileReply {
  Headers headers;
  os::UniqueFd file;
  std::uint64_t size_bytes = 0;  ///< whole file
};

/// The sending side of a stream: written from any thread, read by the connection. Bounded.
class StreamChannel {
 public:
  virtual ~StreamChannel() = default;
  /// Queues bytes. False: the client is gone or too far behind (bound reached); the writer should
  /// stop its source.
  virtual bool write(std::string bytes) = 0;
  /// Ends the body properly. `ok` false: breaks the connection, so that the client notices an
  /// incomplete body.
  virtual void close(bool ok = true) = 0;
  /// Called once, on any thread, when the client leaves before close(); immediately if it already
  /// has.
  virtual void on_client_gone(std::function<void()> callback) = 0;
};

/// A response whose body comes later, in pieces (chunked). `start` is called once, after the head
/// is on its way, with the channel; it must not block.
struct StreamReply {
  int status = 200;
  Headers headers;
  std::function<void(std::shared_ptr<StreamChannel>)> start;
};

/// An answer that comes later from another thread. `complete` may be called once, from anywhere.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual void complete(Response response) = 0;
  /// Switches to a stream instead (head decided late, for example after a model was loaded).
  virtual void complete(StreamReply reply) = 0;
  virtual void on_client_gone(std::function<void()> callback) = 0;
};
/// `start` is called once with the pending answer; it must not block.
struct PendingReply {
  std::function<void(std::shared_ptr<Pending>)> start;
};

using Reply = std::variant<Response, FileReply, StreamReply, PendingReply>;
/// A route: plain function, run on the handler pool, may block for disk work but not for minutes.
using Handler = std::function<Reply(Request const&)>;

}  // namespace homelab::http
