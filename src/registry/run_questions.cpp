// The half of run_figures.h that asks.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <utility>

#include "run_figures.h"
#include "sketch.h"

namespace homelab::registry {
namespace {

using std::chrono::days;
using std::chrono::seconds;

constexpr std::int64_t kHour = 3600;
constexpr std::int64_t kDay = 86400;
constexpr std::int64_t kAlways = std::numeric_limits<std::int64_t>::max() / 2;

/// Figures of one span that begin in [from, to).
struct Part {
  std::int64_t span = 0, from = 0, to = 0;
};

std::int64_t floor_to(std::int64_t value, std::int64_t span) {
  std::int64_t const rest = value % span;
  return value - (rest < 0 ? rest + span : rest);
}
std::int64_t ceil_to(std::int64_t value, std::int64_t span) {
  return floor_to(value + span - 1, span);
}

struct Window {
  std::int64_t from = -kAlways, to = kAlways;  ///< whole hours
};

Window window_of(RunFilter const& filter) {
  Window window;
  if (filter.since)
    window.from =
        floor_to(std::chrono::floor<seconds>(*filter.since).time_since_epoch().count(), kHour);
  if (filter.until)
    window.to =
        ceil_to(std::chrono::ceil<seconds>(*filter.until).time_since_epoch().count(), kHour);
  return window;
}

/// Days where they are whole, hours at both ends.
std::vector<Part> parts_of(RunQuestion const& question, UtcTime now) {
  Window const window = window_of(question.filter);
  if (question.bucket == RunBucket::kHour) return {{kHour, window.from, window.to}};
  auto const hours_from =
      ceil_to(std::chrono::floor<seconds>(now - hours_kept()).time_since_epoch().count(), kDay);
  bool const by_day = question.bucket == RunBucket::kDay;
  bool const from_day = by_day || window.from < hours_from;
  bool const to_day = by_day || window.to < hours_from || window.to == kAlways;
  auto const first = from_day ? floor_to(window.from, kDay) : ceil_to(window.from, kDay);
  auto const last = to_day ? ceil_to(window.to, kDay) : floor_to(window.to, kDay);
  if (!from_day && !to_day && first >= last) return {{kHour, window.from, window.to}};
  std::vector<Part> parts{{kDay, first, last}};
  if (!from_day) parts.push_back({kHour, window.from, std::min(first, window.to)});
  if (!to_day) parts.push_back({kHour, std::max(last, window.from), window.to});
  return parts;
}

struct Group {
  RunFigures out;
  std::array<Sketch, 4> sketches;
};

char const* column_of(RunGrouping by) {
  switch (by) {
    case RunGrouping::kModel:
      return "model_name";
    case RunGrouping::kRevision:
      return "revision";
    case RunGrouping::kEngineVersion:
      return "engine_version";
    case RunGrouping::kEndpoint:
      return "endpoint";
    case RunGrouping::kAll:
      break;
  }
  return "''";
}

std::array<std::pair<char const*, std::optional<std::string> const*>, 4> texts_of(
    RunFilter const& filter) {
  return {{{"model_name", &filter.model},
           {"revision", &filter.revision},
           {"engine_version", &filter.engine_version},
           {"endpoint", &filter.endpoint}}};
}

std::string query_text(RunQuestion const& question) {
  std::string sql = fmt::format(
      "SELECT begins_at, {}, runs, failed, cancelled, input_tokens, output_tokens, ttft_ms, "
      "latency_ms, decode_speed, prefill_speed FROM homelab_run_figures WHERE span_seconds = ? AND "
      "begins_at >= ? AND begins_at < ?",
      column_of(question.by));
  for (auto const& [column, wanted] : texts_of(question.filter))
    if (*wanted) sql += fmt::format(" AND {} = ?", column);
  // Bucket after bucket, so that only one is in memory.
  if (question.bucket != RunBucket::kNone) sql += " ORDER BY begins_at";
  return sql;
}

std::optional<Percentiles> percentiles_of(Sketch const& sketch) {
  if (sketch.count() == 0) return std::nullopt;
  constexpr double kHalf = 0.5, kNine = 0.9, kNineFive = 0.95, kNineNine = 0.99;
  return Percentiles{sketch.count(), *sketch.quantile(kHalf), *sketch.quantile(kNine),
                     *sketch.quantile(kNineFive), *sketch.quantile(kNineNine)};
}

class Answering {
 public:
  explicit Answering(RunQuestion const& question) : question_(question) {}

  void read(SQLite::Database& database, Part const& part) {
    if (part.from >= part.to) return;
    SQLite::Statement query(database, query_text(question_));
    int index = 0;
    query.bind(++index, part.span);
    query.bind(++index, part.from);
    query.bind(++index, part.to);
    for (auto const& [column, wanted] : texts_of(question_.filter))
      if (*wanted) query.bind(++index, **wanted);
    while (query.executeStep()) take(query);
  }

  std::vector<RunFigures> finish() {
    close_bucket();
    return std::move(done_);
  }

 private:
  void take(SQLite::Statement& row) {
    int index = 0;
    auto const begins = row.getColumn(index++).getInt64();
    if (question_.bucket != RunBucket::kNone && begins != begins_) {
      close_bucket();
      begins_ = begins;
    }
    auto& group = groups_[row.getColumn(index++).getString()];
    for (auto* count : {&group.out.runs, &group.out.failed, &group.out.cancelled,
                        &group.out.input_tokens, &group.out.output_tokens})
      *count += row.getColumn(index++).getInt64();
    for (auto& sketch : group.sketches) {
      auto const column = row.getColumn(index++);
      sketch.add_encoded({static_cast<char const*>(column.getBlob()),
                          static_cast<std::size_t>(column.getBytes())});
    }
  }

  void close_bucket() {
    for (auto& [name, group] : groups_) {
      group.out.group = name;
      if (question_.bucket != RunBucket::kNone) group.out.begins = UtcTime(seconds(begins_));
      group.out.ttft_ms = percentiles_of(group.sketches[0]);
      group.out.latency_ms = percentiles_of(group.sketches[1]);
      group.out.decode_tokens_per_second = percentiles_of(group.sketches[2]);
      group.out.prefill_tokens_per_second = percentiles_of(group.sketches[3]);
      done_.push_back(std::move(group.out));
    }
    groups_.clear();
  }

  RunQuestion const& question_;
  std::map<std::string, Group> groups_;
  std::int64_t begins_ = -kAlways;
  std::vector<RunFigures> done_;
};

constexpr int kRecentRuns = 20;
constexpr std::int64_t kPastRuns = 50;
constexpr days kPast{30};

struct Recent {
  std::array<std::vector<double>, 3> values;  ///< ttft, decode, prefill
  std::int64_t runs = 0;
  std::optional<UtcTime> oldest;
};

Recent recent_runs(SQLite::Database& database, std::string const& model) {
  Recent recent;
  SQLite::Statement query(
      database,
      "SELECT timestamp, time_to_first_token_ms, COALESCE(decode_tokens_per_second, "
      "NULLIF(tokens_per_second, 0)), prefill_tokens_per_second FROM performancelog WHERE "
      "model_registry_id = (SELECT id FROM modelregistry WHERE model_name = ?) AND "
      "error_occurred = 0 AND output_tokens > 0 ORDER BY timestamp DESC LIMIT ?");
  query.bind(1, model);
  query.bind(2, kRecentRuns);
  while (query.executeStep()) {
    ++recent.runs;
    if (auto const time = parse_database_text(query.getColumn(0).getString())) recent.oldest = time;
    for (std::size_t i = 0; i < recent.values.size(); ++i) {
      auto const column = query.getColumn(static_cast<int>(i) + 1);
      if (!column.isNull()) recent.values[i].push_back(column.getDouble());
    }
  }
  return recent;
}

std::optional<RunComparison::Pair> pair_of(std::vector<double> values,
                                           std::optional<Percentiles> const& past) {
  if (values.size() < kRecentRuns || !past || past->runs < kPastRuns) return std::nullopt;
  auto const middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return RunComparison::Pair{*middle, past->p50};
}

void add_if_slower(std::vector<Slowdown>& out, std::string const& figure,
                   std::optional<RunComparison::Pair> const& pair, double limit) {
  if (!pair || pair->past <= 0) return;
  constexpr double kPercent = 100;
  double const ratio = pair->recent / pair->past;
  bool const slower = limit > 1 ? ratio >= limit : ratio <= limit;
  if (slower) out.push_back({figure, pair->recent, pair->past, (ratio - 1) * kPercent});
}

}  // namespace

RunAnswer ask_figures(SQLite::Database& database, RunQuestion const& question, UtcTime now) {
  RunAnswer answer;
  Answering answering(question);
  for (auto const& part : parts_of(question, now)) answering.read(database, part);
  answer.groups = answering.finish();
  answer.complete = database
                        .execAndGet(
                            "SELECT (SELECT last_id FROM homelab_run_mark) >= "
                            "(SELECT COALESCE(MAX(id), 0) FROM performancelog)")
                        .getInt() != 0;
  return answer;
}

RunComparison compare_with_past(SQLite::Database& database, std::string const& model, UtcTime now) {
  RunComparison out;
  Recent const recent = recent_runs(database, model);
  out.recent_runs = recent.runs;
  if (!recent.oldest) return out;
  // Whole hours before the oldest of the recent runs: that hour itself is theirs.
  auto const until = std::chrono::floor<std::chrono::hours>(*recent.oldest);
  RunQuestion question;
  question.filter.model = model;
  question.filter.since = until - kPast;
  question.filter.until = until;
  auto const past = ask_figures(database, question, now).groups;
  if (past.empty()) return out;
  out.past_runs = past.front().runs;
  out.ttft_ms = pair_of(recent.values[0], past.front().ttft_ms);
  out.decode_tokens_per_second = pair_of(recent.values[1], past.front().decode_tokens_per_second);
  out.prefill_tokens_per_second = pair_of(recent.values[2], past.front().prefill_tokens_per_second);
  return out;
}

std::vector<Slowdown> slowdowns(RunComparison const& comparison) {
  constexpr double kDecode = 0.8, kPrefill = 0.7, kTtft = 1.5;
  std::vector<Slowdown> out;
  add_if_slower(out, "decode_tokens_per_second", comparison.decode_tokens_per_second, kDecode);
  add_if_slower(out, "prefill_tokens_per_second", comparison.prefill_tokens_per_second, kPrefill);
  add_if_slower(out, "ttft_ms", comparison.ttft_ms, kTtft);
  return out;
}

}  // namespace homelab::registry
