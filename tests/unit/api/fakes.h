#pragma once
// The api module's neighbours, imitated: engine service, registry, connection. Everything runs on
// the test's thread.
#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/routes.h"
#include "base/json.h"
#include "config/settings.h"
#include "http/client.h"
#include "http/local_client.h"
#include "support/temp_dir.h"

namespace homelab::test {

class FakeRegistry : public registry::Registry {
 public:
  Result<registry::Model> add(registry::NewModel const& model) override {
    if (find(model.model_name)) return fail(Code::kAlreadyExists, "taken");
    registry::Model row;
    row.id = next_id_++;
    row.model_name = model.model_name;
    row.hf_path = model.hf_path;
    row.trust_remote_code = model.trust_remote_code;
    row.cache_location = model.cache_location;
    row.cache_path = model.cache_path;
    row.compatibility_status = "unknown";
    rows.push_back(row);
    return row;
  }
  Result<std::vector<registry::Model>> list() override { return rows; }
  Result<registry::Model> find(std::string_view name) override {
    for (auto const& row : rows)
      if (row.model_name == name) return row;
    return fail(Code::kNotFound, "Model '" + std::string(name) + "' is not registered");
  }
  Result<registry::Model> find_id(std::int64_t id) override {
    for (auto const& row : rows)
      if (row.id == id) return row;
    return fail(Code::kNotFound, "no such id");
  }
  Status remove(std::int64_t id) override {
    std::erase_if(rows, [id](auto const& row) { return row.id == id; });
    return {};
  }
  Result<std::optional<std::string>> begin_load(std::int64_t) override { return std::nullopt; }
  Result<registry::Model> finish_load(std::int64_t id, registry::LoadFacts const&,
                                      std::optional<std::string> const&) override {
    return find_id(id);
  }
  Status fail_load(std::int64_t, std::optional<std::string> const&,
                   std::optional<std::string> const&) override {
    return {};
  }
  Result<registry::Model> record_update_check(std::int64_t id, bool,
                                              std::optional<std::string> const&) override {
    return find_id(id);
  }
  Result<registry::Model> set_config(std::int64_t id,
                                     registry::ConfigChange const& change) override {
    for (auto& row : rows) {
      if (row.id != id) continue;
      if (change.load_config) row.load_config = *change.load_config;
      if (change.compatibility_status) row.compatibility_status = *change.compatibility_status;
      if (change.compatibility_notes) row.compatibility_notes = *change.compatibility_notes;
    }
    return find_id(id);
  }
  Result<registry::Model> set_metadata(std::int64_t id, registry::MetadataChange const&) override {
    return find_id(id);
  }
  Result<registry::Model> record_update(std::int64_t id, std::string const&) override {
    return find_id(id);
  }
  Result<std::vector<registry::Model>> relocate(registry::Relocation const& relocation) override {
    std::vector<registry::Model> moved;
    for (auto const& name : relocation.model_names)
      if (!find(name)) return fail(Code::kNotFound, "Model '" + name + "' is not registered");
    for (auto& row : rows) {
      if (std::ranges::find(relocation.model_names, row.model_name) == relocation.model_names.end())
        continue;
      row.cache_location = relocation.cache_location;
      row.cache_path = relocation.cache_path;
      moved.push_back(row);
    }
    return moved;
  }
  Result<std::vector<std::string>> recover_interrupted_loads() override {
    return std::vector<std::string>{};
  }
  void log_performance(registry::PerformanceRow) override {}
  void flush() override {}
  std::uint64_t dropped_rows() const override { return 0; }
  Result<std::vector<registry::PerformanceRow>> recent_performance(std::int64_t, int) override {
    return std::vector<registry::PerformanceRow>{};
  }
  Result<registry::PerformanceSummary> summarize_performance(std::int64_t) override {
    return registry::PerformanceSummary{};
  }
  Result<registry::RunAnswer> run_figures(registry::RunQuestion const& question) override {
    run_question = question;
    return run_answer;
  }
  Result<registry::RunComparison> compare_runs(std::string_view) override { return run_comparison; }
  Result<std::vector<registry::PerformanceRow>> runs_after(registry::RunFilter const&,
                                                           std::int64_t after, int limit) override {
    std::vector<registry::PerformanceRow> page;
    for (auto const& run : runs)
      if (run.id > after && static_cast<int>(page.size()) < limit) page.push_back(run);
    return page;
  }
  Result<std::vector<registry::PerformanceRow>> runs_before(registry::RunFilter const&,
                                                            std::int64_t, int) override {
    return runs;
  }
  Result<std::optional<bool>> switch_state(std::string_view name) override {
    auto const found = switches.find(std::string(name));
    return found == switches.end() ? std::nullopt : std::optional<bool>(found->second);
  }
  Status remember_switch(std::string_view name, bool on) override {
    switches[std::string(name)] = on;
    return {};
  }

  registry::RunQuestion run_question;
  registry::RunAnswer run_answer;
  registry::RunComparison run_comparison;
  std::vector<registry::PerformanceRow> runs;
  std::map<std::string, bool> switches;

  std::vector<registry::Model> rows;

 private:
  std::int64_t next_id_ = 1;
};

class FakeRunning : public engine::Running {
 public:
  void cancel() override { cancelled = true; }
  bool cancelled = false;
};

/// Answers at once with what the test prepared; keeps callbacks for tests that send events
/// themselves.
class FakeEngines : public engine::EngineService {
 public:
  explicit FakeEngines(FakeRegistry& registry) : registry_(registry) {}

  void load(std::string name, bool force, engine::Place place,
            std::function<void(Result<registry::Model>)> done) override {
    loads.emplace_back(name, force);
    last_place = place;
    if (load_error) return done(fail(*load_error));
    auto model = registry_.find(name);
    if (model) loaded_name = name;
    done(std::move(model));
  }
  void unload(std::string name, std::function<void(Result<std::string>)> done) override {
    last_unload = std::move(name);
    if (loaded_name.empty()) return done(fail(Code::kFailedPrecondition, "No model is loaded"));
    done(std::exchange(loaded_name, std::string()));
  }
  void remove_model(std::string name, std::function<void(Result<registry::Model>)> done) override {
    auto model = registry_.find(name);
    if (!model) return done(std::move(model));
    if (name == loaded_name) return done(fail(Code::kFailedPrecondition, name + " is loaded"));
    (void)registry_.remove(model->id);
    done(std::move(model));
  }
  void if_unused(std::vector<std::string> names, std::function<void(Status)> then) override {
    for (auto const& name : names)
      if (name == loaded_name) return then(fail(Code::kFailedPrecondition, name + " is loaded"));
    then({});
  }
  std::optional<engine::LoadedModel> loaded() const override {
    if (loaded_name.empty()) return std::nullopt;
    engine::LoadedModel model;
    model.id = 7;
    model.name = loaded_name;
    return model;
  }
  std::vector<engine::LoadedModel> all_loaded() const override {
    std::vector<engine::LoadedModel> all = beside;
    if (auto model = loaded()) {
      model->current = true;
      all.push_back(*model);
    }
    return all;
  }
  std::vector<engine::JobView> jobs() const override { return job_list; }
  std::chrono::seconds retry_after(std::string const&) const override { return wait; }
  std::shared_ptr<engine::LogFile> log_of(std::string const& model) const override {
    auto const found = logs.find(model);
    return found == logs.end() ? nullptr : found->second;
  }
  std::shared_ptr<engine::Running> generate(engine::GenerateRequest request,
                                            engine::GenerateCallbacks callbacks) override {
    generate_request = std::move(request);
    generation = std::move(callbacks);
    running = std::make_shared<FakeRunning>();
    if (loaded_name.empty())
      generation.on_done(fail(Code::kFailedPrecondition, "No model is loaded"));
    return running;
  }
  void validate(std::function<void(Result<engine::ValidateOutcome>)> done) override {
    if (loaded_name.empty()) return done(fail(Code::kFailedPrecondition, "No model is loaded"));
    done(outcome);
  }
  std::shared_ptr<engine::Running> forward(engine::ForwardRequest request,
                                           http::LocalCallbacks callbacks) override {
    forwarded = request.method + " " + request.target + " " + request.body;
    exchange = std::move(callbacks);
    running = std::make_shared<FakeRunning>();
    forward_request = std::move(request);
    if (load_error) {
      exchange.on_done(fail(*load_error));
    } else if (loaded_name.empty() && forward_request.model.empty()) {
      exchange.on_done(fail(Code::kFailedPrecondition, "No model is loaded"));
    }
    return running;
  }
  void shutdown(std::chrono::milliseconds) override {}
  bool performance_logging() const override { return logging; }
  void set_performance_logging(bool on) override { logging = on; }

  std::string loaded_name;
  std::vector<engine::LoadedModel> beside;
  engine::Place last_place = engine::Place::kInstead;
  std::string last_unload;
  engine::ForwardRequest forward_request;
  std::chrono::seconds wait{0};
  std::optional<Error> load_error;
  std::map<std::string, std::shared_ptr<engine::LogFile>> logs;
  std::vector<std::pair<std::string, bool>> loads;
  std::vector<engine::JobView> job_list;
  engine::GenerateRequest generate_request;
  engine::GenerateCallbacks generation;
  engine::ValidateOutcome outcome;
  std::string forwarded;
  http::LocalCallbacks exchange;
  std::shared_ptr<FakeRunning> running;
  bool logging = true;

 private:
  FakeRegistry& registry_;
};

class FakeChannel : public http::StreamChannel {
 public:
  bool write(std::string bytes) override {
    if (gone) return false;
    text += bytes;
    ++writes;
    return true;
  }
  void close(bool ok) override { closed = ok ? "properly" : "broken"; }
  void on_client_gone(std::function<void()> callback) override {
    if (gone) return callback();
    on_gone = std::move(callback);
  }

  std::string text;
  int writes = 0;
  std::string closed;
  bool gone = false;
  std::function<void()> on_gone;
};

/// What a client would see of one request.
class FakePending : public http::Pending {
 public:
  void complete(http::Response reply) override {
    ++completions;
    response = std::move(reply);
  }
  void complete(http::StreamReply reply) override {
    ++completions;
    stream = std::move(reply);
  }
  void on_client_gone(std::function<void()> callback) override { on_gone = std::move(callback); }

  /// The connection is ready for the stream.
  void attach() const { stream->start(channel); }

  int completions = 0;
  std::optional<http::Response> response;
  std::optional<http::StreamReply> stream;
  std::shared_ptr<FakeChannel> channel = std::make_shared<FakeChannel>();
  std::function<void()> on_gone;
};

/// Time passes when the test says so.
class FakeTimers : public http::Timers {
 public:
  Clock::time_point now() const override { return now_; }
  std::shared_ptr<void> after(std::chrono::milliseconds delay,
                              std::function<void()> command) override {
    auto const kept = std::make_shared<std::function<void()>>(std::move(command));
    calls_.emplace(now_ + delay, kept);
    return kept;
  }
  /// What is due is called at its time.
  void pass(std::chrono::milliseconds time) {
    auto const end = now_ + time;
    while (!calls_.empty() && calls_.begin()->first <= end) {
      auto const [when, command] = *calls_.begin();
      calls_.erase(calls_.begin());
      now_ = std::max(now_, when);
      if (auto const wanted = command.lock()) (*wanted)();
    }
    now_ = end;
  }
  /// How many calls somebody still waits for.
  [[nodiscard]] std::size_t waiting() const {
    return static_cast<std::size_t>(std::count_if(
        calls_.begin(), calls_.end(), [](auto const& call) { return !call.second.expired(); }));
  }

 private:
  Clock::time_point now_ = Clock::time_point() + std::chrono::hours(1);
  std::multimap<Clock::time_point, std::weak_ptr<std::function<void()>>> calls_;
};

/// The whole router over the fakes and a cache in a folder of its own.
class ApiFixture {
 public:
  ApiFixture()
      : engines(registry),
        settings(load_settings()),
        locations(location("primary"), location("secondary"), 0.9),
        usage(locations, std::chrono::minutes(5)),
        mirror({folder / "primary/hub"}),
        client(http::Client::create({})),
        downloader(hub::Downloader::create(*client, {}, {})),
        hub{*client, {}, *downloader},
        router(api::make_router({registry, engines, locations, usage, mirror, settings, jobs, hub,
                                 "9.9.9", timers, feed, metrics,
                                 std::make_shared<access::Gate>(access::Gate::Options{})})) {}
  /// Jobs end before what they work with.
  ~ApiFixture() { jobs.shutdown(); }

  /// Runs the handler; a pending answer is started with `pending`.
  http::Reply send(std::string const& method, std::string const& target, std::string body = {},
                   std::map<std::string, std::string> const& headers = {}) {
    http::Request request;
    request.method = method;
    request.target = target;
    request.path = target.substr(0, target.find('?'));
    if (auto const mark = target.find('?'); mark != std::string::npos)
      request.query = target.substr(mark + 1);
    request.body = std::move(body);
    for (auto const& [name, value] : headers) request.headers.set(name, value);
    auto const match = router.match(method, request.path);
    if (match.handler == nullptr)
      return match.allowed.empty() ? router.not_found(request)
                                   : router.not_allowed(request, match.allowed);
    request.path_values = match.path_values;
    http::Reply reply = (*match.handler)(request);
    if (auto* later = std::get_if<http::PendingReply>(&reply)) {
      pending = std::make_shared<FakePending>();
      later->start(pending);
    }
    return reply;
  }

  /// The finished answer, at once or pending.
  http::Response ask(std::string const& method, std::string const& target, std::string body = {},
                     std::map<std::string, std::string> const& headers = {}) {
    http::Reply reply = send(method, target, std::move(body), headers);
    if (auto* response = std::get_if<http::Response>(&reply)) return *response;
    if (pending && pending->response) return *pending->response;
    throw std::runtime_error("no finished answer to " + method + " " + target);
  }

  registry::Model const& add_row(std::string const& name, std::string const& hf_path) {
    registry::NewModel row;
    row.model_name = name;
    row.hf_path = hf_path;
    row.cache_path = (folder / "primary").string();
    (void)registry.add(row);
    return registry.rows.back();
  }

  TempDir folder;
  FakeRegistry registry;
  FakeEngines engines;
  config::Settings settings;
  cache::Locations locations;
  cache::UsageMonitor usage;
  mirror::Mirror mirror;
  std::unique_ptr<http::Client> client;
  std::unique_ptr<hub::Downloader> downloader;
  care::HubAccess hub;
  jobs::JobBook jobs;
  FakeTimers timers;
  api::ModelFeed feed;
  api::Metrics metrics;
  http::Router router;
  std::shared_ptr<FakePending> pending;

 private:
  config::Settings load_settings() const {
    config::SettingsInput input;
    input.environment = [](std::string const&) { return std::optional<std::string>(); };
    input.working_directory = folder.path();
    auto loaded = config::Settings::load(std::move(input));
    if (!loaded) throw std::runtime_error(loaded.error().message);
    return *std::move(loaded);
  }
  cache::LocationOptions location(std::string const& name) const {
    cache::LocationOptions options;
    options.root = (folder / name).string();
    options.limit_gb = 100;
    options.origin = "the test";
    return options;
  }
};

/// A body as JSON; fails the test by throwing when it is none.
inline json::value json_of(http::Response const& response) {
  auto value = parse_json(response.body);
  if (!value) throw std::runtime_error("not JSON: " + response.body);
  return *std::move(value);
}

/// "detail" of an E1 answer.
inline std::string detail_of(http::Response const& response) {
  return std::string(json_of(response).as_object().at("detail").as_string());
}

}  // namespace homelab::test
