#pragma once
// From method and path to a handler. Immutable while the server runs.
#include <functional>
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

  struct Match {
    Handler const* handler = nullptr;  ///< null: see `allowed`
    std::string_view pattern;          ///< as given to add(); lives as long as the router
    std::size_t body_limit_bytes = 1 << 20;
    std::vector<std::pair<std::string, std::string>> path_values;
    std::vector<std::string> allowed;  ///< path known, method not
  };
  [[nodiscard]] Match match(std::string_view method, std::string_view raw_path) const;
  [[nodiscard]] Response not_found(Request const& request) const;
  [[nodiscard]] Response not_allowed(Request const& request,
                                     std::vector<std::string> const& allowed) const;
  void filter_head(Request const& request, int status, Headers& headers) const;

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
};

}  // namespace homelab::http
