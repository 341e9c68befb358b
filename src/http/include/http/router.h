#pragma once
// From method and path to a handler. Immutable while the server runs.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace homelab::http {

class Router {
 public:
  /// `pattern`: "/api/models/{name}", "/hub/{org}/{name}/resolve/{revision}/{path...}". Literal
  /// segments win over {x}. Matching is on raw segments; an encoded slash (%2F) stays inside its
  /// segment.
  void add(std::string method, std::string const& pattern, Handler handler,
           std::size_t body_limit_bytes = 1 << 20);

  /// Answers for paths and methods nobody has; `allowed` = methods that the path has.
  using NotFound = std::function<Response(Request const&)>;
  using NotAllowed =
      std::function<Response(Request const&, std::vector<std::string> const& allowed)>;
  void on_not_found(NotFound handler) { not_found_ = std::move(handler); }
  void on_not_allowed(NotAllowed handler) { not_allowed_ = std::move(handler); }
  /// Runs on the head of every answer before it is sent (CORS, server name). Must be thread-safe.
  using HeadFilter = std::function<void(Request const&, int status, Headers&)>;
  void on_head(HeadFilter filter) { head_filter_ = std::move(filter); }

  /// Told of every answer when its head is made. Must be thread-safe and must not block.
  using Observer = std::function<void(Request const&, int status)>;
  void on_answer(Observer observer) { observer_ = std::move(observer); }
  void observe(Request const& request, int status) const {
    if (observer_) observer_(request, status);
  }

  /// Sees the head of every request before its body is read and before its handler is called, also
  /// where no route matches; `pattern` is the route's, "" when there is none. May answer instead,
  /// and leave a note in the request. Runs on the I/O loops: thread-safe, must not block.
  struct Entry {
    std::optional<Response> answer;
    std::shared_ptr<void> visit;  ///< becomes Request::visit
  };
  using Doorman = std::function<Entry(Request const&, std::string_view pattern)>;
  void before_all(Doorman doorman) { doorman_ = std::move(doorman); }

  struct Match {
    Handler const* handler = nullptr;  ///< null: see `allowed`
    std::string_view pattern;          ///< as given to add(); lives as long as the router
    std::size_t body_limit_bytes = 1 << 20;
    std::vector<std::pair<std::string, std::string>> path_values;
    std::vector<std::string> allowed;  ///< path known, method not
  };
  /// Method and pattern of everything that was added, in that order.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> routes() const;
  [[nodiscard]] Match match(std::string_view method, std::string_view raw_path) const;
  [[nodiscard]] Response not_found(Request const& request) const;
  [[nodiscard]] Response not_allowed(Request const& request,
                                     std::vector<std::string> const& allowed) const;
  void filter_head(Request const& request, int status, Headers& headers) const;
  [[nodiscard]] Entry enter(Request const& request, std::string_view pattern) const;

 private:
  struct Route {
    std::string method;
    std::string pattern;
    std::vector<std::string> segments;
    Handler handler;
    std::size_t body_limit_bytes;
  };
  std::vector<Route> routes_;
  NotFound not_found_;
  NotAllowed not_allowed_;
  HeadFilter head_filter_;
  Observer observer_;
  Doorman doorman_;
};

}  // namespace homelab::http
