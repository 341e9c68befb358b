#pragma once
// When to try again and how long to wait (hub-protocol §4.3). Pure.
#include <chrono>
#include <optional>

#include "base/result.h"
#include "http/message.h"

namespace homelab::hub {

/// Waiting time a server asks for: `RateLimit: "resolvers";r=0;t=55` gives t+1 s when r is 0, else
/// an integer `Retry-After` gives its value + 1 s. nullopt: it asks for none. Dates and nonsense
/// are ignored.
[[nodiscard]] std::optional<std::chrono::seconds> asked_wait(http::Headers const& headers);

/// True for answers that may be different next time: 408, 429, 500, 502, 503, 504.
[[nodiscard]] bool is_retryable_status(int status);
/// True for failures of the way to the server: it is away, it stalled, the connection broke.
[[nodiscard]] bool is_retryable(Code code);

/// Counts the failures of one request or one file. Any byte of progress starts the count again, so
/// a connection that drops again and again still finishes; without progress there are five more
/// tries.
class RetryBudget {
 public:
  static constexpr int kTries = 5;
  /// Longer than this is not waited for: the person should hear of it instead.
  static constexpr std::chrono::seconds kLongestWait{900};

  /// `unit`: the first waiting time; 1 s, shorter in tests.
  explicit RetryBudget(std::chrono::milliseconds unit = std::chrono::seconds(1)) : unit_(unit) {}

  /// After a failure: how long to wait before the next try, or nullopt to give up. `progressed`: at
  /// least one byte came since the last call. `asked`: what asked_wait() gave.
  [[nodiscard]] std::optional<std::chrono::milliseconds> next_wait(
      bool progressed, std::optional<std::chrono::seconds> asked = std::nullopt);
  [[nodiscard]] int failures() const { return failures_; }

 private:
  std::chrono::milliseconds unit_;
  int failures_ = 0;
};

}  // namespace homelab::hub
