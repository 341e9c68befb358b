#pragma once
// Questions about many runs: which ones, and figures of them.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace homelab::registry {

/// How long rows of runs are kept; figures of them stay longer (docs/decisions/0019).
struct Retention {
  std::chrono::days age{0};       ///< 0 = for ever: an upgrade must not lose old rows
  std::int64_t rows = 1'000'000;  ///< 0 = as many as there are
};

/// Members that are not set do not matter. Texts are compared exactly; "" means "not known".
struct RunFilter {
  std::optional<std::string> model;
  std::optional<std::string> revision;
  std::optional<std::string> engine_version;
  std::optional<std::string> endpoint;
  std::optional<UtcTime> since;  ///< included
  std::optional<UtcTime> until;  ///< excluded
};

enum class RunGrouping { kAll, kModel, kRevision, kEngineVersion, kEndpoint };
enum class RunBucket { kNone, kHour, kDay };  ///< whole ones, UTC

struct RunQuestion {
  RunFilter filter;
  RunGrouping by = RunGrouping::kAll;
  RunBucket bucket = RunBucket::kNone;
};

/// Within 1 % of the true values. Not set when no run of the group has the figure.
struct Percentiles {
  std::uint64_t runs = 0;  ///< that have the figure
  double p50 = 0, p90 = 0, p95 = 0, p99 = 0;
};

/// Times and speeds are those of the runs that succeeded.
struct RunFigures {
  std::string group;              ///< "" for RunGrouping::kAll, or not known
  std::optional<UtcTime> begins;  ///< of the bucket
  std::int64_t runs = 0;          ///< all, also those that failed or were cancelled
  std::int64_t failed = 0;
  std::int64_t cancelled = 0;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  std::optional<Percentiles> ttft_ms, latency_ms, decode_tokens_per_second,
      prefill_tokens_per_second;
};

/// Whole buckets: `since` and `until` are widened to hours; before the hours that are kept, to
/// days.
struct RunAnswer {
  std::vector<RunFigures> groups;  ///< by time, then by group
  bool complete = true;            ///< false: older rows are still being counted
};

/// What a model's newest runs say compared with its own past.
struct RunComparison {
  std::int64_t recent_runs = 0;
  std::int64_t past_runs = 0;
  struct Pair {
    double recent = 0, past = 0;  ///< medians
  };
  std::optional<Pair> ttft_ms, decode_tokens_per_second, prefill_tokens_per_second;
};

struct Slowdown {
  std::string figure;  ///< "ttft_ms", "decode_tokens_per_second", "prefill_tokens_per_second"
  double recent = 0;
  double past = 0;
  double change_percent = 0;  ///< of the figure: a lower speed is negative, a longer time positive
};
/// The rule (docs/decisions/0019): at least 20 recent and 50 past runs; the median decode speed
/// fell by 20 %, the prefill speed by 30 %, or the time to the first token grew by 50 % (or more).
[[nodiscard]] std::vector<Slowdown> slowdowns(RunComparison const& comparison);

}  // namespace homelab::registry
