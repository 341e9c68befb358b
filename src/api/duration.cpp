#include "duration.h"

#include <array>
#include <cmath>
#include <utility>

#include "base/strings.h"

namespace homelab::api {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kLongestS = 1'000'000'000;

/// Takes "5m" off the front of `text`.
std::optional<milliseconds> take_part(std::string_view& text) {
  auto const digits = std::min(text.find_first_not_of("0123456789"), text.size());
  auto const number = parse_uint(text.substr(0, digits));
  if (!number || *number > kLongestS) return std::nullopt;
  text.remove_prefix(digits);
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 4> kUnits = {
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};
  for (auto const& [name, length] : kUnits) {
    auto const next = text.substr(std::min(name.size(), text.size()));
    bool const ends = next.empty() || (next.front() >= '0' && next.front() <= '9');
    if (!text.starts_with(name) || !ends) continue;
    text = next;
    return milliseconds(static_cast<std::int64_t>(*number) * length);
  }
  if (!text.empty()) return std::nullopt;
  return milliseconds(static_cast<std::int64_t>(*number) * 1000);
}

}  // namespace

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
  text = trim(text);
  bool const below_zero = text.starts_with('-');
  if (below_zero) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  milliseconds sum{0};
  while (!text.empty()) {
    auto const part = take_part(text);
    if (!part) return std::nullopt;
    sum += *part;
    if (sum > std::chrono::seconds(kLongestS)) return std::nullopt;
  }
  auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(sum);
  return below_zero ? -seconds : seconds;
}

Result<std::optional<std::chrono::seconds>> read_keep_alive(json::object const& request) {
  json::value const* const value = request.if_contains("keep_alive");
  if (value == nullptr || value->is_null()) return std::nullopt;
  auto const number = get_double(request, "keep_alive");
  if (number && std::abs(*number) < static_cast<double>(kLongestS))
    return std::chrono::seconds(static_cast<std::int64_t>(*number));
  if (auto const text = get_string(request, "keep_alive")) {
    if (auto const time = parse_duration(*text)) return time;
  }
  return fail(Code::kInvalidArgument,
              "\"keep_alive\" must be a number of seconds or a duration such as \"5m\"; 0 unloads "
              "the model at once, -1 keeps it for ever");
}

}  // namespace homelab::api
