#include "http/router.h"

#include <algorithm>

#include "base/strings.h"

namespace homelab::http {
namespace {

enum class Kind { kRest, kVariable, kLiteral };  // the later, the more it counts

Kind kind_of(std::string_view segment) {
  if (segment.size() < 2 || segment.front() != '{' || segment.back() != '}') return Kind::kLiteral;
  return segment.ends_with("...}") ? Kind::kRest : Kind::kVariable;
}

std::string_view name_of(std::string_view segment) {
  bool const rest = kind_of(segment) == Kind::kRest;
  return segment.substr(1, segment.size() - (rest ? 5 : 2));
}

std::string_view without_first_slash(std::string_view path) {
  return path.starts_with('/') ? path.substr(1) : path;
}

/// Takes the next raw segment off `rest`. False when nothing is left.
bool next_segment(std::string_view& rest, bool& more, std::string_view& segment) {
  if (!more) return false;
  std::size_t const slash = rest.find('/');
  segment = rest.substr(0, slash);
  more = slash != std::string_view::npos;
  rest = more ? rest.substr(slash + 1) : std::string_view{};
  return true;
}

bool matches(std::vector<std::string> const& pattern, std::string_view rest) {
  bool more = true;
  std::string_view segment;
  for (std::string const& expected : pattern) {
    Kind const kind = kind_of(expected);
    if (kind == Kind::kRest) return more && !rest.empty();
    if (!next_segment(rest, more, segment)) return false;
    if (kind == Kind::kLiteral ? segment != expected : segment.empty()) return false;
  }
  return !more;
}

/// True if `a` is the more exact pattern: the first segment in which they differ in kind decides.
bool wins_over(std::vector<std::string> const& a, std::vector<std::string> const& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (kind_of(a[i]) != kind_of(b[i])) return kind_of(a[i]) > kind_of(b[i]);
  }
  return false;
}

std::vector<std::pair<std::string, std::string>> values_of(std::vector<std::string> const& pattern,
                                                           std::string_view rest) {
  std::vector<std::pair<std::string, std::string>> values;
  bool more = true;
  std::string_view segment;
  for (std::string const& expected : pattern) {
    Kind const kind = kind_of(expected);
    if (kind == Kind::kRest) {
      values.emplace_back(name_of(expected), rest);
      return values;
    }
    next_segment(rest, more, segment);
    if (kind == Kind::kLiteral) continue;
    auto decoded = percent_decode(segment);
    values.emplace_back(name_of(expected), decoded ? *decoded : std::string(segment));
  }
  return values;
}

Response json_detail(int status, std::string_view detail) {
  Response response;
  response.status = status;
  response.headers.set("content-type", "application/json");
  response.body = R"({"detail":")" + std::string(detail) + R"("})";
  return response;
}

}  // namespace

void Router::add(std::string method, std::string const& pattern, Handler handler,
                 std::size_t body_limit_bytes) {
  Route route{std::move(method), pattern, {}, std::move(handler), body_limit_bytes};
  for (std::string_view const segment : split(without_first_slash(pattern), '/'))
    route.segments.emplace_back(segment);
  routes_.push_back(std::move(route));
}

std::vector<std::pair<std::string, std::string>> Router::routes() const {
  std::vector<std::pair<std::string, std::string>> all;
  for (Route const& route : routes_) all.emplace_back(route.method, route.pattern);
  return all;
}

Router::Match Router::match(std::string_view method, std::string_view raw_path) const {
  Match result;
  Route const* best = nullptr;
  if (!raw_path.starts_with('/')) return result;
  std::string_view const path = without_first_slash(raw_path);
  for (Route const& route : routes_) {
    if (!matches(route.segments, path)) continue;
    if (route.method == method) {
      if (best == nullptr || wins_over(route.segments, best->segments)) best = &route;
    } else if (std::find(result.allowed.begin(), result.allowed.end(), route.method) ==
               result.allowed.end()) {
      result.allowed.push_back(route.method);
    }
  }
  if (best == nullptr) return result;
  result.allowed.clear();
  result.handler = &best->handler;
  result.pattern = best->pattern;
  result.body_limit_bytes = best->body_limit_bytes;
  result.path_values = values_of(best->segments, path);
  return result;
}

Response Router::not_found(Request const& request) const {
  return not_found_ ? not_found_(request) : json_detail(404, "Not Found");
}

Response Router::not_allowed(Request const& request,
                             std::vector<std::string> const& allowed) const {
  Response response =
      not_allowed_ ? not_allowed_(request, allowed) : json_detail(405, "Method Not Allowed");
  if (!response.headers.find("allow")) {
    std::string list;
    for (std::string const& method : allowed) list += (list.empty() ? "" : ", ") + method;
    response.headers.set("allow", list);
  }
  return response;
}

Router::Entry Router::enter(Request const& request, std::string_view pattern) const {
  return doorman_ ? doorman_(request, pattern) : Entry{};
}

void Router::filter_head(Request const& request, int status, Headers& headers) const {
  if (head_filter_) head_filter_(request, status, headers);
}

}  // namespace homelab::http
