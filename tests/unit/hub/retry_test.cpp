#include "retry.h"

#include <gtest/gtest.h>

namespace homelab::hub {
namespace {

using namespace std::chrono_literals;

http::Headers with(std::string_view name, std::string_view value) {
  http::Headers headers;
  headers.add(name, value);
  return headers;
}

TEST(Retry, WaitsAsLongAsTheRateLimitSaysPlusOneSecond) {
  EXPECT_EQ(asked_wait(with("RateLimit", "\"resolvers\";r=0;t=55")), 56s);
  EXPECT_EQ(asked_wait(with("ratelimit", "\"api\"; r=0; t=3")), 4s);
}

TEST(Retry, DoesNotWaitWhileRequestsRemain) {
  EXPECT_FALSE(asked_wait(with("RateLimit", "\"resolvers\";r=12;t=55")));
}

TEST(Retry, WaitsForRetryAfterInSecondsAndIgnoresDates) {
  EXPECT_EQ(asked_wait(with("Retry-After", "7")), 8s);
  EXPECT_FALSE(asked_wait(with("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT")));
  EXPECT_FALSE(asked_wait(with("Retry-After", "-3")));
  EXPECT_FALSE(asked_wait({}));
}

TEST(Retry, PrefersTheRateLimitToRetryAfter) {
  auto headers = with("RateLimit", "\"a\";r=0;t=1");
  headers.add("Retry-After", "100");
  EXPECT_EQ(asked_wait(headers), 2s);
}

TEST(Retry, GivesUpAfterFiveTriesWithoutProgress) {
  RetryBudget budget;
  EXPECT_EQ(budget.next_wait(false), 1000ms);
  EXPECT_EQ(budget.next_wait(false), 2000ms);
  EXPECT_EQ(budget.next_wait(false), 4000ms);
  EXPECT_EQ(budget.next_wait(false), 8000ms);
  EXPECT_EQ(budget.next_wait(false), 8000ms);
  EXPECT_FALSE(budget.next_wait(false));
}

TEST(Retry, NeverGivesUpAConnectionThatBringsBytesEachTime) {
  RetryBudget budget;
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(budget.next_wait(true), 100ms);
}

TEST(Retry, StartsCountingAgainAfterProgress) {
  RetryBudget budget;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(budget.next_wait(false));
  EXPECT_TRUE(budget.next_wait(true));
  EXPECT_EQ(budget.next_wait(false), 2000ms);
}

TEST(Retry, HonoursWhatTheServerAsksButNotForHours) {
  RetryBudget budget;
  EXPECT_EQ(budget.next_wait(false, 56s), 56s);
  EXPECT_FALSE(budget.next_wait(false, 2h));
  EXPECT_FALSE(
      RetryBudget().next_wait(false, asked_wait(with("Retry-After", "18446744073709551615"))));
}

TEST(Retry, TriesAgainOnlyWhatCanChange) {
  for (int const status : {408, 429, 500, 502, 503, 504}) EXPECT_TRUE(is_retryable_status(status));
  for (int const status : {200, 301, 400, 401, 403, 404, 416, 501})
    EXPECT_FALSE(is_retryable_status(status));
  EXPECT_TRUE(is_retryable(Code::kUnavailable));
  EXPECT_TRUE(is_retryable(Code::kDeadlineExceeded));
  EXPECT_FALSE(is_retryable(Code::kInvalidArgument));
  EXPECT_FALSE(is_retryable(Code::kFailedPrecondition));
}

}  // namespace
}  // namespace homelab::hub
