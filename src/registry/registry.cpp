#include "registry/registry.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/strings.h"
#include "connection.h"
#include "migrations.h"
#include "performance_writer.h"
#include "registry/compatibility.h"
#include "rows.h"
#include "run_figures.h"
#include "run_rows.h"

namespace homelab::registry {
namespace {

constexpr std::size_t kMaxNotes = 2000;
constexpr int kMaxRecentRows = 100'000;
constexpr int kMaxPage = 1000;
constexpr std::chrono::milliseconds kRetryPause{200};
/// Rows that one step of upkeep counts or deletes: other writers wait for no more than that.
constexpr int kUpkeepRows = 500;
/// SQL list of the blanks that trim() removes: space, tab, LF, VT, FF, CR.
constexpr std::string_view kSqlTrimmedName =
    "trim(model_name, ' ' || char(9) || char(10) || char(11) || char(12) || char(13))";

/// As registration stores it: no blanks around the whole and around each '/'.
std::string clean_path(std::string_view path) {
  std::string out;
  for (std::string_view const part : split(path, '/')) {
    out += out.empty() && part.data() == path.data() ? "" : "/";
    out += trim(part);
  }
  return out;
}

std::string short_local_time(UtcTime time) {
  std::string text = to_local_iso(time).substr(0, 16);
  text[10] = ' ';
  return text;
}

/// Cuts to a bound without splitting a character.
std::string bounded(std::string text, std::size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0U) == 0x80U) --limit;
  text.resize(limit);
  return text;
}

class SqliteRegistry final : public Registry {
 public:
  struct Connections {
    Connection writing, reading, asking;
  };
  SqliteRegistry(Connections connections, Retention retention)
      : retention_(retention),
        writing_(std::move(connections.writing)),
        reading_(std::move(connections.reading)),
        asking_(std::move(connections.asking)),
        performance_(
            [this](std::vector<PerformanceRow> const& batch) { return write_batch(batch); },
            kRetryPause, [this] { return do_upkeep(); }) {}

  Result<Model> add(NewModel const& model) override {
    return write([&]() -> Result<Model> { return insert_model(model); });
  }

  Result<std::vector<Model>> list() override {
    return read([&]() -> Result<std::vector<Model>> {
      SQLite::Statement query(
          *reading_, fmt::format("SELECT {} FROM modelregistry ORDER BY id", model_columns()));
      std::vector<Model> models;
      while (query.executeStep()) models.push_back(read_model(query));
      return models;
    });
  }

  Result<Model> find(std::string_view name) override {
    std::string const wanted(trim(name));
    ASSIGN_OR_RETURN(std::optional<Model> const model,
                     read([&] { return look_up(*reading_, wanted); }));
    if (!model) return fail(Code::kNotFound, fmt::format("there is no model named '{}'", wanted));
    if (model->model_name == wanted && clean_path(model->hf_path) == model->hf_path) return *model;
    return write([&]() -> Result<Model> { return repair(model->id, wanted); });
  }

  Result<Model> find_id(std::int64_t id) override {
    return read([&] { return by_id(*reading_, id); });
  }

  Status remove(std::int64_t id) override {
    return write([&]() -> Status {
      run("UPDATE performancelog SET model_registry_id = NULL WHERE model_registry_id = ?", id);
      if (run("DELETE FROM modelregistry WHERE id = ?", id) == 0) return no_such_id(id);
      return {};
    });
  }

  Result<std::optional<std::string>> begin_load(std::int64_t id) override {
    return write([&]() -> Result<std::optional<std::string>> {
      ASSIGN_OR_RETURN(Model const model, by_id(*writing_, id));
      run("UPDATE modelregistry SET compatibility_status = 'testing' WHERE id = ?", id);
      return model.compatibility_status;
    });
  }

  Result<Model> finish_load(std::int64_t id, LoadFacts const& facts,
                            std::optional<std::string> const& previous_status) override {
    return write([&]() -> Result<Model> { return store_facts(id, facts, previous_status); });
  }

  Result<std::vector<Model>> relocate(Relocation const& relocation) override {
    return write([&]() -> Result<std::vector<Model>> { return store_places(relocation); });
  }

  Status fail_load(std::int64_t id, std::optional<std::string> const& status,
                   std::optional<std::string> const& notes) override {
    return write([&]() -> Status {
      SQLite::Statement update(
          *writing_,
          "UPDATE modelregistry SET compatibility_status = :status, compatibility_notes = :notes "
          "WHERE id = :id");
      bind_optional(update, ":status", status);
      bind_optional(update, ":notes", notes);
      update.bind(":id", id);
      if (update.exec() == 0) return no_such_id(id);
      return {};
    });
  }

  Result<Model> record_update_check(std::int64_t id, bool available,
                                    std::optional<std::string> const& local_commit) override {
    return write([&]() -> Result<Model> {
      SQLite::Statement update(
          *writing_,
          "UPDATE modelregistry SET update_available = :available, last_update_check = :now, "
          "current_commit = COALESCE(current_commit, :commit) WHERE id = :id");
      update.bind(":available", available ? 1 : 0);
      update.bind(":now", to_database_text(utc_now()));
      bind_optional(update, ":commit", local_commit);
      update.bind(":id", id);
      if (update.exec() == 0) return no_such_id(id);
      return by_id(*writing_, id);
    });
  }

  Result<Model> set_config(std::int64_t id, ConfigChange const& change) override {
    return write([&]() -> Result<Model> {
      auto const set = [&](std::string_view column, auto const& value) {
        write_column(id, column, value);
      };
      set("load_config", change.load_config);
      set("compatibility_status", change.compatibility_status);
      set("compatibility_notes", change.compatibility_notes);
      return by_id(*writing_, id);
    });
  }

  Result<Model> set_metadata(std::int64_t id, MetadataChange const& change) override {
    return write([&]() -> Result<Model> {
      auto const set = [&](std::string_view column, auto const& value) {
        write_column(id, column, value);
      };
      set("mmlu_score", change.mmlu_score);
      set("gpqa_score", change.gpqa_score);
      set("hellaswag_score", change.hellaswag_score);
      set("humaneval_score", change.humaneval_score);
      set("mbpp_score", change.mbpp_score);
      set("math_score", change.math_score);
      set("truthfulqa_score", change.truthfulqa_score);
      set("perplexity", change.perplexity);
      set("max_throughput_tokens_sec", change.max_throughput_tokens_sec);
      set("avg_latency_ms", change.avg_latency_ms);
      set("quantization", change.quantization);
      return by_id(*writing_, id);
    });
  }

  Result<Model> record_update(std::int64_t id, std::string const& commit) override {
    return write([&]() -> Result<Model> {
      SQLite::Statement update(*writing_,
                               "UPDATE modelregistry SET current_commit = :commit, last_updated = "
                               ":now, update_available = 0 WHERE id = :id");
      update.bind(":commit", commit);
      update.bind(":now", to_database_text(utc_now()));
      update.bind(":id", id);
      if (update.exec() == 0) return no_such_id(id);
      return by_id(*writing_, id);
    });
  }

  Result<std::vector<std::string>> recover_interrupted_loads() override {
    return write([&]() -> Result<std::vector<std::string>> { return mark_interrupted(); });
  }

  void log_performance(PerformanceRow row) override { performance_.push(std::move(row)); }
  void flush() override { performance_.flush(); }
  std::uint64_t dropped_rows() const override { return performance_.dropped(); }

  Result<std::vector<PerformanceRow>> recent_performance(std::int64_t model_id,
                                                         int limit) override {
    return read([&]() -> Result<std::vector<PerformanceRow>> {
      SQLite::Statement query(
          *reading_, fmt::format("SELECT id, {} FROM performancelog WHERE model_registry_id = ? "
                                 "ORDER BY timestamp DESC, id DESC LIMIT ?",
                                 performance_columns()));
      query.bind(1, model_id);
      query.bind(2, limit < 0 ? kMaxRecentRows : std::min(limit, kMaxRecentRows));
      std::vector<PerformanceRow> rows;
      while (query.executeStep()) rows.push_back(read_performance(query));
      return rows;
    });
  }

  Result<PerformanceSummary> summarize_performance(std::int64_t model_id) override {
    return read([&]() -> Result<PerformanceSummary> {
      SQLite::Statement query(
          *reading_,
          "SELECT COUNT(*), AVG(input_tokens), AVG(output_tokens), AVG(total_inference_ms), "
          "TOTAL(tokens_per_second) / COUNT(*), AVG(NULLIF(gpu_mem_peak_alloc_mb, 0)), "
          "AVG(NULLIF(cpu_mem_rss_mb, 0)) FROM performancelog "
          "WHERE model_registry_id = ? AND error_occurred = 0");
      query.bind(1, model_id);
      query.executeStep();
      return read_summary(query);
    });
  }

  Result<RunAnswer> run_figures(RunQuestion const& question) override {
    return ask([&]() -> Result<RunAnswer> { return ask_figures(*asking_, question, utc_now()); });
  }

  Result<RunComparison> compare_runs(std::string_view model) override {
    return ask([&]() -> Result<RunComparison> {
      return compare_with_past(*asking_, std::string(model), utc_now());
    });
  }

  Result<std::vector<PerformanceRow>> runs_after(RunFilter const& filter, std::int64_t after,
                                                 int limit) override {
    return ask([&]() -> Result<std::vector<PerformanceRow>> {
      return registry::runs_after(*asking_, filter, after, std::clamp(limit, 0, kMaxPage));
    });
  }

  Result<std::vector<PerformanceRow>> runs_before(RunFilter const& filter, std::int64_t before,
                                                  int limit) override {
    return ask([&]() -> Result<std::vector<PerformanceRow>> {
      return registry::runs_before(*asking_, filter, before, std::clamp(limit, 0, kMaxPage));
    });
  }

  Result<std::optional<bool>> switch_state(std::string_view name) override {
    return read([&]() -> Result<std::optional<bool>> {
      SQLite::Statement query(*reading_, "SELECT is_on FROM homelab_switch WHERE name = ?");
      query.bind(1, std::string(name));
      if (!query.executeStep()) return std::optional<bool>();
      return std::optional<bool>(query.getColumn(0).getInt() != 0);
    });
  }

  Status remember_switch(std::string_view name, bool on) override {
    return write([&]() -> Status {
      SQLite::Statement update(*writing_,
                               "INSERT INTO homelab_switch (name, is_on) VALUES (?1, ?2) "
                               "ON CONFLICT (name) DO UPDATE SET is_on = ?2");
      update.bind(1, std::string(name));
      update.bind(2, on ? 1 : 0);
      update.exec();
      return {};
    });
  }

 private:
  template <class Work>
  std::invoke_result_t<Work&> read(Work&& work) {
    std::lock_guard const guard(reading_mutex_);
    return contain(work);
  }

  /// For questions that may take long: the lists of the others do not wait for them.
  template <class Work>
  std::invoke_result_t<Work&> ask(Work&& work) {
    std::lock_guard const guard(asking_mutex_);
    return contain(work);
  }

  /// One transaction; commits when `work` gives a value, rolls back when it gives an error.
  template <class Work>
  std::invoke_result_t<Work&> write(Work&& work) {
    std::lock_guard const guard(writing_mutex_);
    return contain([&]() -> std::invoke_result_t<Work&> {
      WriteTransaction transaction(*writing_);
      auto result = work();
      if (result) transaction.commit();
      return result;
    });
  }

  /// Nothing for a value that is not set; null for an inner nullopt.
  template <class Value>
  void write_column(std::int64_t id, std::string_view column,
                    std::optional<std::optional<Value>> const& value) {
    if (!value) return;
    SQLite::Statement update(
        *writing_, fmt::format("UPDATE modelregistry SET {} = :value WHERE id = :id", column));
    bind_optional(update, ":value", *value);
    update.bind(":id", id);
    update.exec();
  }

  static tl::unexpected<Error> no_such_id(std::int64_t id) {
    return fail(Code::kNotFound, fmt::format("there is no model with id {}", id));
  }

  /// Changed rows.
  int run(char const* sql, std::int64_t id) {
    SQLite::Statement statement(*writing_, sql);
    statement.bind(1, id);
    return statement.exec();
  }

  static Result<Model> by_id(SQLite::Database& database, std::int64_t id) {
    SQLite::Statement query(
        database, fmt::format("SELECT {} FROM modelregistry WHERE id = ?", model_columns()));
    query.bind(1, id);
    if (!query.executeStep()) return no_such_id(id);
    return read_model(query);
  }

  /// The exact name first: a row with stray blanks must not hide a clean one.
  static Result<std::optional<Model>> look_up(SQLite::Database& database, std::string const& name) {
    for (std::string_view const column : {std::string_view("model_name"), kSqlTrimmedName}) {
      SQLite::Statement query(
          database, fmt::format("SELECT {} FROM modelregistry WHERE {} = ? ORDER BY id LIMIT 1",
                                model_columns(), column));
      query.bind(1, name);
      if (query.executeStep()) return std::optional<Model>(read_model(query));
    }
    return std::optional<Model>();
  }

  Result<Model> insert_model(NewModel const& model) {
    ASSIGN_OR_RETURN(auto const taken, look_up(*writing_, std::string(trim(model.model_name))));
    if (taken)
      return fail(Code::kAlreadyExists,
                  fmt::format("a model named '{}' is already registered; choose another name",
                              taken->model_name));
    std::int64_t const id = next_id();
    SQLite::Statement insert(
        *writing_,
        "INSERT INTO modelregistry (id, model_name, hf_path, trust_remote_code, created_at, "
        "cache_location, cache_path, load_config, total_loads, total_inferences, update_available, "
        "compatibility_status) VALUES (:id, :name, :path, :trust, :now, :location, :root, :config, "
        "0, 0, 0, "
        "'unknown')");
    insert.bind(":id", id);
    insert.bind(":name", model.model_name);
    insert.bind(":path", model.hf_path);
    insert.bind(":trust", model.trust_remote_code ? 1 : 0);
    insert.bind(":now", to_database_text(utc_now()));
    insert.bind(":location", model.cache_location);
    bind_optional(insert, ":root", model.cache_path);
    bind_optional(insert, ":config", model.load_config);
    insert.exec();
    return by_id(*writing_, id);
  }

  /// Above every id that was ever given by us or is in the table now (other programs may write the
  /// table too).
  std::int64_t next_id() {
    std::int64_t const id =
        writing_
            ->execAndGet(
                "SELECT 1 + MAX((SELECT COALESCE(MAX(id), 0) FROM modelregistry), "
                "(SELECT COALESCE(MAX(last_id), 0) FROM homelab_last_id "
                "WHERE table_name = 'modelregistry'))")
            .getInt64();
    run("INSERT INTO homelab_last_id (table_name, last_id) VALUES ('modelregistry', ?1) "
        "ON CONFLICT (table_name) DO UPDATE SET last_id = ?1",
        id);
    return id;
  }

  Result<std::vector<Model>> store_places(Relocation const& relocation) {
    std::vector<Model> moved;
    for (std::string const& name : relocation.model_names) {
      ASSIGN_OR_RETURN(auto const model, look_up(*writing_, std::string(trim(name))));
      if (!model) return fail(Code::kNotFound, fmt::format("there is no model named '{}'", name));
      SQLite::Statement update(
          *writing_,
          "UPDATE modelregistry SET cache_location = :location, cache_path = :root WHERE id = :id");
      update.bind(":location", relocation.cache_location);
      bind_optional(update, ":root", relocation.cache_path);
      update.bind(":id", model->id);
      update.exec();
      ASSIGN_OR_RETURN(auto row, by_id(*writing_, model->id));
      moved.push_back(std::move(row));
    }
    return moved;
  }

  Result<Model> repair(std::int64_t id, std::string const& name) {
    ASSIGN_OR_RETURN(Model const model, by_id(*writing_, id));
    SQLite::Statement update(*writing_,
                             "UPDATE modelregistry SET model_name = ?, hf_path = ? WHERE id = ?");
    update.bind(1, name);
    update.bind(2, clean_path(model.hf_path));
    update.bind(3, id);
    update.exec();
    return by_id(*writing_, id);
  }

  Result<Model> store_facts(std::int64_t id, LoadFacts const& facts,
                            std::optional<std::string> const& previous) {
    ASSIGN_OR_RETURN(Model const before, by_id(*writing_, id));
    bool const other_commit = facts.commit && facts.commit != before.current_commit;
    std::string const status = status_after_success(previous);
    // Notes on why a model would not load are wrong once it has loaded; a user's remarks on a good
    // model stay.
    bool const stale_notes = previous == "incompatible";
    SQLite::Statement update(
        *writing_,
        "UPDATE modelregistry SET model_size_mb = COALESCE(:size, model_size_mb), "
        "parameter_count = COALESCE(:parameters, parameter_count), model_type = COALESCE(:type, "
        "model_type), "
        "architecture = COALESCE(:architecture, architecture), default_dtype = COALESCE(:dtype, "
        "default_dtype), "
        "context_length = COALESCE(:context, context_length), current_commit = COALESCE(:commit, "
        "current_commit), "
        "current_version = COALESCE(:version, current_version), "
        "last_updated = CASE WHEN :moved THEN :now ELSE last_updated END, "
        "update_available = CASE WHEN :moved THEN 0 ELSE update_available END, "
        "compatibility_notes = CASE WHEN :stale THEN NULL ELSE compatibility_notes END, "
        "compatibility_status = :status, total_loads = total_loads + 1, last_loaded = :now WHERE "
        "id = :id");
    bind_optional(update, ":size", facts.model_size_mb);
    bind_optional(update, ":parameters", facts.parameter_count);
    bind_optional(update, ":type", facts.model_type);
    bind_optional(update, ":architecture", facts.architecture);
    bind_optional(update, ":dtype", facts.default_dtype);
    bind_optional(update, ":context", facts.context_length);
    bind_optional(update, ":commit", facts.commit);
    bind_optional(update, ":version", facts.version);
    update.bind(":moved", other_commit ? 1 : 0);
    update.bind(":stale", stale_notes ? 1 : 0);
    update.bind(":status", status);
    update.bind(":now", to_database_text(utc_now()));
    update.bind(":id", id);
    update.exec();
    return by_id(*writing_, id);
  }

  Result<std::vector<std::string>> mark_interrupted() {
    std::vector<Model> interrupted;
    {
      SQLite::Statement query(
          *writing_,
          fmt::format(
              "SELECT {} FROM modelregistry WHERE compatibility_status = 'testing' ORDER BY id",
              model_columns()));
      while (query.executeStep()) interrupted.push_back(read_model(query));
    }
    std::vector<std::string> names;
    for (Model const& model : interrupted) {
      std::string notes = fmt::format("[{}] The server ended while this model was being loaded.",
                                      short_local_time(utc_now()));
      if (model.compatibility_notes && !model.compatibility_notes->empty())
        notes += " " + *model.compatibility_notes;
      SQLite::Statement update(
          *writing_,
          "UPDATE modelregistry SET compatibility_status = 'incompatible', compatibility_notes = ? "
          "WHERE id = ?");
      update.bind(1, bounded(std::move(notes), kMaxNotes));
      update.bind(2, model.id);
      update.exec();
      names.push_back(model.model_name);
    }
    return names;
  }

  Status write_batch(std::vector<PerformanceRow> const& batch) {
    return write([&]() -> Status {
      forget_deleted_ids(*writing_);
      SQLite::Statement insert(*writing_, performance_insert());
      SQLite::Statement count(
          *writing_,
          "UPDATE modelregistry SET total_inferences = total_inferences + 1 WHERE id = ?");
      for (PerformanceRow const& row : batch) {
        bind_performance(insert, row);
        insert.exec();
        insert.reset();
        if (!row.model_registry_id || row.error_occurred) continue;
        count.bind(1, *row.model_registry_id);
        count.exec();
        count.reset();
      }
      count_new_runs(*writing_, kUpkeepRows);
      return {};
    });
  }

  /// What is not counted yet (an upgraded file, rows of another program) before anything is
  /// deleted.
  bool do_upkeep() {
    bool more = false;
    Status const done = write([&]() -> Status {
      if (count_new_runs(*writing_, kUpkeepRows) == kUpkeepRows) {
        more = true;
        return {};
      }
      more = delete_expired(*writing_, retention_, utc_now(), kUpkeepRows) == kUpkeepRows;
      drop_old_figures(*writing_, utc_now());
      return {};
    });
    if (done) return more;
    logger("registry")->warn("upkeep of the performance log: {}", done.error().message);
    return false;
  }

  Retention const retention_;
  std::mutex writing_mutex_;
  std::mutex reading_mutex_;
  std::mutex asking_mutex_;
  Connection writing_;             ///< guarded by writing_mutex_
  Connection reading_;             ///< guarded by reading_mutex_
  Connection asking_;              ///< guarded by asking_mutex_
  PerformanceWriter performance_;  ///< last: its thread uses everything above
};

/// "PRAGMA journal_mode = WAL" does not wait for other processes that do the same just now,
/// whatever the busy timeout.
std::string switch_to_write_ahead_log(SQLite::Database& database) {
  constexpr auto kPatience = std::chrono::seconds(10);
  constexpr auto kPause = std::chrono::milliseconds(5);
  auto const give_up = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    try {
      return database.execAndGet("PRAGMA journal_mode = WAL").getString();
    } catch (SQLite::Exception const& thrown) {
      if (thrown.getErrorCode() != SQLITE_BUSY || std::chrono::steady_clock::now() > give_up) throw;
    }
    std::this_thread::sleep_for(kPause);
  }
}

/// Write-ahead logging: readers never wait for the writer. A property of the file, so it is set
/// once and stays.
void use_write_ahead_log(SQLite::Database& database, std::filesystem::path const& file) {
  std::string mode = database.execAndGet("PRAGMA journal_mode").getString();
  if (mode != "wal") mode = switch_to_write_ahead_log(database);
  if (mode != "wal") {
    logger("registry")
        ->warn(
            "{}: the file system does not allow a write-ahead log (journal mode {}); lists may "
            "wait for "
            "writes",
            file.string(), mode);
  }
}

bool is_new(SQLite::Database& database) {
  return database.execAndGet("PRAGMA page_count").getInt64() == 0;
}

Status refuse_read_only(SQLite::Database& database, std::filesystem::path const& file) {
  if (sqlite3_db_readonly(database.getHandle(), "main") != 1) return {};
  return fail(Code::kPermissionDenied,
              fmt::format("the database {} can only be read; this user must be able to write the "
                          "file and its folder, or "
                          "set DATABASE_PATH to another place",
                          file.string()));
}

}  // namespace

Result<std::unique_ptr<Registry>> Registry::open(std::filesystem::path const& file,
                                                 Retention retention) {
  auto opened = contain([&]() -> Result<std::unique_ptr<Registry>> {
    ASSIGN_OR_RETURN(Connection writing, open_connection(file, true));
    RETURN_IF_ERROR(refuse_read_only(*writing, file));
    // A file of somebody else keeps its mode until it has been checked; a new one is made with
    // fewer syncs this way.
    if (is_new(*writing)) use_write_ahead_log(*writing, file);
    ASSIGN_OR_RETURN(auto const backup, migrate(*writing, file));
    if (backup)
      logger("registry")
          ->info("{} was upgraded; the file as it was: {}", file.string(), backup->string());
    use_write_ahead_log(*writing, file);
    ASSIGN_OR_RETURN(Connection reading, open_connection(file, false));
    ASSIGN_OR_RETURN(Connection asking, open_connection(file, false));
    return std::unique_ptr<Registry>(std::make_unique<SqliteRegistry>(
        SqliteRegistry::Connections{std::move(writing), std::move(reading), std::move(asking)},
        retention));
  });
  if (!opened && opened.error().code == Code::kDataLoss &&
      opened.error().message.find(file.string()) == std::string::npos)
    return fail(
        Code::kDataLoss,
        fmt::format("the database {} cannot be read ({}); it was not touched. Put a backup in its "
                    "place, or move it away to begin anew",
                    file.string(), opened.error().message));
  if (!opened && opened.error().message.find(file.string()) == std::string::npos)
    return fail(std::move(opened).error().in(fmt::format("open the database {}", file.string())));
  return opened;
}

}  // namespace homelab::registry
