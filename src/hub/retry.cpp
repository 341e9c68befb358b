#include "retry.h"

#include <algorithm>

#include "base/strings.h"

namespace homelab::hub {
namespace {

/// The value of `;key=` in a structured header, if it is a whole number.
std::optional<std::uint64_t> parameter(std::string_view header, std::string_view key) {
  for (auto const piece : split(header, ';')) {
    auto const pair = trim(piece);
    if (pair.size() > key.size() && pair.starts_with(key) && pair[key.size()] == '=')
      return parse_uint(trim(pair.substr(key.size() + 1)));
  }
  return std::nullopt;
}

std::chrono::seconds plus_one(std::uint64_t seconds) {
  // Bounded first: the sum must not overflow, and a day is beyond every limit anyway.
  return std::chrono::seconds(std::min<std::uint64_t>(seconds, 86400) + 1);
}

}  // namespace

std::optional<std::chrono::seconds> asked_wait(http::Headers const& headers) {
  if (auto const limit = headers.find("RateLimit")) {
    auto const remaining = parameter(*limit, "r");
    auto const reset = parameter(*limit, "t");
    if (remaining && *remaining == 0 && reset) return plus_one(*reset);
  }
  if (auto const after = headers.find("Retry-After"))
    if (auto const seconds = parse_uint(trim(*after))) return plus_one(*seconds);
  return std::nullopt;
}

bool is_retryable_status(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

bool is_retryable(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded || code == Code::kAborted;
}

std::optional<std::chrono::milliseconds> RetryBudget::next_wait(
    bool progressed, std::optional<std::chrono::seconds> asked) {
  if (progressed) failures_ = 0;
  if (++failures_ > kTries) return std::nullopt;
  if (asked)
    return *asked > kLongestWait ? std::nullopt : std::optional(std::chrono::milliseconds(*asked));
  // A connection that broke after it had delivered is taken up again quickly: 0.1, then 1, 2, 4, 8
  // units.
  if (progressed) return unit_ / 10;
  return unit_ * (1 << std::min(failures_ - 1, 3));
}

}  // namespace homelab::hub
