#include "service_fixture.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <condition_variable>
#include <thread>

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPatience{30};

/// Waits for a future; a test that would hang fails instead.
template <class T>
T take(std::future<T> future) {
  if (future.wait_for(kPatience) != std::future_status::ready)
    throw std::runtime_error("no answer within 30 s");
  return future.get();
}

template <class T>
std::pair<std::function<void(T)>, std::future<T>> promised() {
  auto promise = std::make_shared<std::promise<T>>();
  auto future = promise->get_future();
  return {[promise](T value) { promise->set_value(std::move(value)); }, std::move(future)};
}

}  // namespace

Result<hub::ReadySnapshot> FakeDownloader::ensure(hub::DownloadRequest request) {
  ++calls_;
  hub::Progress progress;
  progress.stage = hub::Progress::Stage::kDownloading;
  progress.total_bytes = 1000;
  progress.downloaded_bytes = 400;
  if (request.on_progress) request.on_progress(progress);
  std::string const repo = request.model.repo.text();
  std::unique_lock lock(mutex_);
  if (repo == hanging_) {
    lock.unlock();
    while (!request.cancelled()) std::this_thread::yield();
    return fail(Code::kCancelled, "download cancelled");
  }
  if (auto const found = errors_.find(repo); found != errors_.end()) return fail(found->second);
  auto const found = folders_.find(repo);
  if (found == folders_.end()) return fail(Code::kNotFound, "no repository " + repo);
  hub::ReadySnapshot snapshot{.commit = *cache::CommitHash::parse(std::string(40, 'c')),
                              .folder = found->second,
                              .model_path = found->second / "m.gguf",
                              .format = hub::ModelFormat::kGguf,
                              .variant = "Q4_1"};
  snapshot.total_bytes = 3 << 20;
  return snapshot;
}

GenerateCallbacks Listener::callbacks() {
  auto const state = state_;
  GenerateCallbacks out;
  out.on_start = [state](std::int64_t tokens) {
    std::lock_guard const lock(state->mutex);
    state->heard.input_tokens = tokens;
  };
  out.on_text = [state](std::string_view text) {
    std::lock_guard const lock(state->mutex);
    state->heard.text += text;
    ++state->heard.texts;
    if (state->heard.result) ADD_FAILURE() << "text after the end";
    state->changed.notify_all();
  };
  out.on_done = [state](Result<GenerateStats> result) {
    std::lock_guard const lock(state->mutex);
    state->heard.result = std::move(result);
    ++state->heard.ends;
    state->changed.notify_all();
  };
  return out;
}

Listener::Heard Listener::wait() {
  std::unique_lock lock(state_->mutex);
  bool const ended = state_->changed.wait_for(lock, kPatience,
                                              [this] { return state_->heard.result.has_value(); });
  if (!ended) throw std::runtime_error("the generation did not end within 30 s");
  return state_->heard;
}

void Listener::wait_for_texts(int count) {
  std::unique_lock lock(state_->mutex);
  bool const came =
      state_->changed.wait_for(lock, kPatience, [&] { return state_->heard.texts >= count; });
  if (!came) throw std::runtime_error("the text did not come within 30 s");
}

Listener::Heard Listener::now() {
  std::lock_guard const lock(state_->mutex);
  return state_->heard;
}

void ServiceTest::SetUp() {
  loops_ = std::make_unique<http::IoLoops>(2);
  auto registry = registry::Registry::open(folder_ / "models.db");
  ASSERT_TRUE(registry) << registry.error().message;
  registry_ = std::move(*registry);
  cache::LocationOptions primary;
  primary.root = (folder_ / "cache").string();
  locations_ = std::make_unique<cache::Locations>(primary, primary, 0.9);
  options_.program = FAKE_ENGINE;
  options_.runtime_folder = folder_ / "run";
  options_.stop_grace = seconds(2);
  start_service();
}

void ServiceTest::start_service() {
  service_.reset();
  auto service = EngineService::create(options_, {*loops_, *registry_, downloader_, *locations_});
  ASSERT_TRUE(service) << service.error().message;
  service_ = std::move(*service);
}

void ServiceTest::TearDown() {
  if (service_) service_->shutdown(milliseconds(0));
  service_.reset();
  registry_.reset();
  loops_.reset();
}

void ServiceTest::add_local(std::string const& name, std::string const& flags) {
  auto const file = folder_.write("models/" + name + ".gguf", "12345");
  if (!flags.empty()) folder_.write("models/" + name + ".gguf.flags", flags + "\n");
  registry::NewModel model;
  model.model_name = name;
  model.hf_path = file.string();
  auto const added = registry_->add(model);
  ASSERT_TRUE(added) << added.error().message;
}

void ServiceTest::set_load_config(std::string const& name, std::string const& text) {
  SQLite::Database database(folder_ / "models.db", SQLite::OPEN_READWRITE);
  SQLite::Statement update(database,
                           "UPDATE modelregistry SET load_config = ? WHERE model_name = ?");
  update.bind(1, text);
  update.bind(2, name);
  ASSERT_EQ(update.exec(), 1);
}

void ServiceTest::add_repository(std::string const& name, std::string const& repo) {
  registry::NewModel model;
  model.model_name = name;
  model.hf_path = repo;
  auto const added = registry_->add(model);
  ASSERT_TRUE(added) << added.error().message;
}

std::future<Result<registry::Model>> ServiceTest::load_later(std::string const& name, bool force,
                                                             Place place) {
  auto [done, future] = promised<Result<registry::Model>>();
  service_->load(name, force, place, done);
  return std::move(future);
}

Result<registry::Model> ServiceTest::load(std::string const& name, bool force) {
  return take(load_later(name, force));
}

Result<registry::Model> ServiceTest::load_beside(std::string const& name) {
  return take(load_later(name, false, Place::kBeside));
}

Result<std::string> ServiceTest::unload(std::string const& name) {
  auto [done, future] = promised<Result<std::string>>();
  service_->unload(name, done);
  return take(std::move(future));
}

Result<registry::Model> ServiceTest::remove(std::string const& name) {
  auto [done, future] = promised<Result<registry::Model>>();
  service_->remove_model(name, done);
  return take(std::move(future));
}

Status ServiceTest::check_unused(std::vector<std::string> names) {
  auto [done, future] = promised<Status>();
  service_->if_unused(std::move(names), done);
  return take(std::move(future));
}

Result<ValidateOutcome> ServiceTest::validate() {
  auto [done, future] = promised<Result<ValidateOutcome>>();
  service_->validate(done);
  return take(std::move(future));
}

Listener::Heard ServiceTest::generate(GenerateRequest request) {
  Listener listener;
  service_->generate(std::move(request), listener.callbacks());
  return listener.wait();
}

registry::Model ServiceTest::row(std::string const& name) {
  auto row = registry_->find(name);
  if (!row) throw std::runtime_error(row.error().message);
  return *row;
}

std::string ServiceTest::forward(std::string const& method, std::string const& target,
                                 std::string const& body, std::string const& model) {
  auto const text = std::make_shared<std::string>();
  auto [done, future] = promised<Status>();
  http::LocalCallbacks callbacks;
  callbacks.on_data = [text](std::string_view bytes) { *text += bytes; };
  callbacks.on_done = done;
  service_->forward({model, method, target, body, std::nullopt}, callbacks);
  auto const status = take(std::move(future));
  return status ? *text : "error: " + status.error().message;
}

void ServiceTest::eventually(std::function<bool()> const& condition, std::string const& what) {
  auto const deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("did not happen: " + what);
    std::this_thread::sleep_for(milliseconds(5));
  }
}

}  // namespace homelab::engine
