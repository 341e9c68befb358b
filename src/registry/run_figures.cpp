#include "run_figures.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "rows.h"
#include "sketch.h"

namespace homelab::registry {
namespace {

using std::chrono::seconds;

constexpr std::array<std::int64_t, 2> kSpans{3600, 86400};

struct Key {
  std::int64_t span = 0;
  std::int64_t begins = 0;
  std::string model, revision, engine_version, endpoint;
  friend auto operator<=>(Key const&, Key const&) = default;
};

struct Figures {
  std::int64_t runs = 0, failed = 0, cancelled = 0, input_tokens = 0, output_tokens = 0;
  Sketch ttft_ms, latency_ms, decode_speed, prefill_speed;
};

constexpr auto kSketches = std::array{&Figures::ttft_ms, &Figures::latency_ms,
                                      &Figures::decode_speed, &Figures::prefill_speed};
constexpr auto kCounts = std::array{&Figures::runs, &Figures::failed, &Figures::cancelled,
                                    &Figures::input_tokens, &Figures::output_tokens};

/// Columns of a row that is counted, in this order.
enum Column {
  kId,
  kTime,
  kModel,
  kRevision,
  kEngineVersion,
  kEndpoint,
  kError,
  kErrorCode,
  kInput,
  kOutput,
  kTtft,
  kLatency,
  kDecode,
  kPrefill
};
// Rows of the original know their speed only over the whole run.
constexpr char const* kNewRows =
    "SELECT id, timestamp, COALESCE(model_name, ''), COALESCE(model_version, ''), "
    "COALESCE(engine_version, ''), COALESCE(endpoint, ''), error_occurred, "
    "COALESCE(error_code, ''), input_tokens, output_tokens, time_to_first_token_ms, "
    "total_inference_ms, COALESCE(decode_tokens_per_second, NULLIF(tokens_per_second, 0)), "
    "prefill_tokens_per_second FROM performancelog WHERE id > ? ORDER BY id LIMIT ?";

void add_value(Sketch& sketch, SQLite::Column const& value) {
  if (!value.isNull()) sketch.add(value.getDouble());
}

void add_row(Figures& figures, SQLite::Statement& row) {
  ++figures.runs;
  figures.input_tokens += row.getColumn(kInput).getInt64();
  figures.output_tokens += row.getColumn(kOutput).getInt64();
  if (row.getColumn(kError).getInt() != 0) {
    ++(row.getColumn(kErrorCode).getString() == "cancelled" ? figures.cancelled : figures.failed);
    return;
  }
  add_value(figures.ttft_ms, row.getColumn(kTtft));
  add_value(figures.latency_ms, row.getColumn(kLatency));
  add_value(figures.decode_speed, row.getColumn(kDecode));
  add_value(figures.prefill_speed, row.getColumn(kPrefill));
}

std::int64_t seconds_of(UtcTime time) {
  return std::chrono::floor<seconds>(time).time_since_epoch().count();
}
std::int64_t floor_to(std::int64_t value, std::int64_t span) {
  return (value >= 0 ? value : value - span + 1) / span * span;
}

void bind_key(SQLite::Statement& statement, Key const& key) {
  int index = 0;
  statement.bind(++index, key.span);
  statement.bind(++index, key.begins);
  for (auto const* text : {&key.model, &key.revision, &key.engine_version, &key.endpoint})
    statement.bind(++index, *text);
}

constexpr int kKeyColumns = 6;

/// What is there already is added first: the whole is written anew.
void add_stored(SQLite::Database& database, Key const& key, Figures& figures) {
  SQLite::Statement query(
      database,
      "SELECT runs, failed, cancelled, input_tokens, output_tokens, ttft_ms, latency_ms, "
      "decode_speed, prefill_speed FROM homelab_run_figures WHERE span_seconds = ? AND "
      "begins_at = ? AND model_name = ? AND revision = ? AND engine_version = ? AND endpoint = ?");
  bind_key(query, key);
  if (!query.executeStep()) return;
  int index = 0;
  for (auto const count : kCounts) figures.*count += query.getColumn(index++).getInt64();
  for (auto const sketch : kSketches)
    (figures.*sketch).add_encoded(query.getColumn(index++).getString());
}

void store(SQLite::Database& database, Key const& key, Figures& figures) {
  add_stored(database, key, figures);
  SQLite::Statement write(
      database,
      "INSERT INTO homelab_run_figures (span_seconds, begins_at, model_name, revision, "
      "engine_version, endpoint, runs, failed, cancelled, input_tokens, output_tokens, ttft_ms, "
      "latency_ms, decode_speed, prefill_speed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?) ON CONFLICT (span_seconds, begins_at, model_name, revision, engine_version, endpoint) DO "
      "UPDATE SET runs = excluded.runs, failed = excluded.failed, cancelled = excluded.cancelled, "
      "input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, ttft_ms = "
      "excluded.ttft_ms, latency_ms = excluded.latency_ms, decode_speed = excluded.decode_speed, "
      "prefill_speed = excluded.prefill_speed");
  bind_key(write, key);
  int index = kKeyColumns;
  for (auto const count : kCounts) write.bind(++index, figures.*count);
  for (auto const sketch : kSketches) {
    std::string const blob = (figures.*sketch).encoded();
    write.bind(++index, blob.data(), static_cast<int>(blob.size()));
  }
  write.exec();
}

/// Ids are given again when the newest rows were deleted (by another program).
std::int64_t mark_of(SQLite::Database& database) {
  return database
      .execAndGet(
          "SELECT MIN((SELECT last_id FROM homelab_run_mark), "
          "(SELECT COALESCE(MAX(id), 0) FROM performancelog))")
      .getInt64();
}

void set_mark(SQLite::Database& database, std::int64_t last_id) {
  SQLite::Statement update(database, "UPDATE homelab_run_mark SET last_id = ?");
  update.bind(1, last_id);
  update.exec();
}

}  // namespace

void forget_deleted_ids(SQLite::Database& database) { set_mark(database, mark_of(database)); }

int count_new_runs(SQLite::Database& database, int limit) {
  std::int64_t mark = mark_of(database);
  std::map<Key, Figures> found;
  int rows = 0;
  SQLite::Statement query(database, kNewRows);
  query.bind(1, mark);
  query.bind(2, limit);
  while (query.executeStep()) {
    ++rows;
    mark = query.getColumn(kId).getInt64();
    auto const time = parse_database_text(query.getColumn(kTime).getString());
    if (!time) continue;
    Key key{0,
            0,
            query.getColumn(kModel).getString(),
            query.getColumn(kRevision).getString(),
            query.getColumn(kEngineVersion).getString(),
            query.getColumn(kEndpoint).getString()};
    for (std::int64_t const span : kSpans) {
      key.span = span;
      key.begins = floor_to(seconds_of(*time), span);
      add_row(found[key], query);
    }
  }
  for (auto& [key, figures] : found) store(database, key, figures);
  set_mark(database, mark);
  return rows;
}

void drop_old_figures(SQLite::Database& database, UtcTime now) {
  for (std::int64_t const span : kSpans) {
    SQLite::Statement drop(
        database, "DELETE FROM homelab_run_figures WHERE span_seconds = ? AND begins_at < ?");
    drop.bind(1, span);
    drop.bind(
        2, floor_to(seconds_of(now - (span == kSpans.front() ? hours_kept() : days_kept())), span));
    drop.exec();
  }
}

}  // namespace homelab::registry
