#include "run_query.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "base/time.h"
#include "json_text.h"
#include "replies.h"
#include "validation.h"

namespace homelab::api {
namespace {

http::Response refuse(std::string_view name, std::string const& value, std::string const& why) {
  return json_reply(
      422,
      json::object{
          {"detail",
           {{{"type", "value_error"}, {"loc", {"query", name}}, {"msg", why}, {"input", value}}}}});
}

std::optional<UtcTime> ago(std::string_view text) {
  using std::chrono::minutes;
  if (text.empty()) return std::nullopt;
  auto const number = parse_uint(text.substr(0, text.size() - 1));
  constexpr std::uint64_t kMost = 10'000'000;
  if (!number || *number > kMost) return std::nullopt;
  auto const count = static_cast<std::int64_t>(*number);
  switch (text.back()) {
    case 'm':
      return utc_now() - minutes(count);
    case 'h':
      return utc_now() - std::chrono::hours(count);
    case 'd':
      return utc_now() - std::chrono::days(std::min<std::int64_t>(count, 100'000));
    default:
      return std::nullopt;
  }
}

std::optional<UtcTime> time_of(std::string_view text) {
  constexpr std::size_t kDateLength = 10;
  if (text.ends_with('Z')) text.remove_suffix(1);
  if (text.size() == kDateLength) return parse_database_text(std::string(text) + " 00:00:00");
  if (auto const time = parse_database_text(text)) return time;
  return ago(text);
}

}  // namespace

tl::expected<registry::RunFilter, http::Response> run_filter(http::Request const& request) {
  registry::RunFilter filter;
  filter.model = last_query_value(request, "model");
  filter.revision = last_query_value(request, "revision");
  filter.engine_version = last_query_value(request, "engine_version");
  filter.endpoint = last_query_value(request, "endpoint");
  for (auto const& [name, field] :
       {std::pair("since", &filter.since), std::pair("until", &filter.until)}) {
    auto const text = last_query_value(request, name);
    if (!text) continue;
    *field = time_of(*text);
    if (!*field)
      return tl::unexpected(refuse(name, *text,
                                   "Expected a time such as 2026-01-31T12:00:00Z, a date, or how "
                                   "long ago: 90m, 24h, 7d"));
  }
  return filter;
}

tl::expected<std::size_t, http::Response> one_of(http::Request const& request,
                                                 std::string_view name,
                                                 std::span<std::string_view const> words) {
  auto const text = last_query_value(request, name);
  if (!text) return std::size_t{0};
  std::string all;
  std::size_t index = 0;
  for (auto const word : words) {
    if (word == *text) return index;
    all += (all.empty() ? "" : ", ") + std::string(word);
    ++index;
  }
  return tl::unexpected(refuse(name, *text, "Expected one of: " + all));
}

}  // namespace homelab::api
