#include "application.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "api/routes.h"
#include "base/log.h"
#include "base/os/process.h"
#include "base/strings.h"
#include "cli/settings_locations.h"
#include "engine/engine_service.h"
#include "gate_options.h"
#include "http/client.h"
#include "http/server.h"
#include "http/timers.h"
#include "hub/downloader.h"
#include "mirror/mirror.h"
#include "registry/registry.h"
#include "registry/server_lock.h"
#include "registry/upkeep.h"

namespace homelab {
namespace {

constexpr std::size_t kIoLoops = 2;
constexpr std::chrono::minutes kMeasureEvery{5};

/// Hub folders that /hub offers: what is in the locations now, without making any.
std::vector<cache::Path> mirrored_folders(cache::Locations const& locations) {
  std::vector<cache::Path> folders;
  for (auto const& location : locations.all())
    folders.push_back(locations.resolve(location).hub.path);
  return folders;
}

hub::HubOptions hub_options(config::Settings const& settings) {
  return {settings.hub_endpoint(), settings.hub_token().value_or(""), settings.offline()};
}

unsigned whole_number(config::Settings const& settings, std::string_view name) {
  return static_cast<unsigned>(parse_uint(settings.text(name)).value_or(0));
}

/// A private folder for sockets and engine logs. A Unix socket's path may have 107 bytes, so a long
/// XDG_RUNTIME_DIR is passed over.
cache::Path runtime_folder() {
  constexpr std::size_t kLongest = 73;
  std::string const name = fmt::format("homelab-llm-{}-{}", ::getuid(), ::getpid());
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in this program changes the environment
  char const* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime != '\0' && ::access(runtime, W_OK) == 0) {
    cache::Path folder = cache::Path(runtime) / name;
    if (folder.native().size() <= kLongest) return folder;
  }
  return std::filesystem::temp_directory_path() / name;
}

Result<engine::Options> engine_options(config::Settings const& settings) {
  engine::Options options;
  if (auto const file = settings.engines_file()) {
    ASSIGN_OR_RETURN(options.external, engine::read_external_engines(*file));
  }
  options.hub_environment = {{"HF_HUB_OFFLINE", settings.offline() ? "1" : "0"},
                             {"HF_ENDPOINT", settings.hub_endpoint()}};
  std::string const program = settings.text("HOMELAB_LLM_ENGINE");
  options.program =
      program.empty() ? os::self_path().parent_path() / "homelab-llm-engine" : cache::Path(program);
  options.runtime_folder = runtime_folder();
  options.threads = whole_number(settings, "HOMELAB_LLM_THREADS");
  options.context_tokens = whole_number(settings, "HOMELAB_LLM_CONTEXT");
  if (unsigned const slots = whole_number(settings, "HOMELAB_LLM_SLOTS"); slots > 0)
    options.slots = slots;
  if (auto const layers = parse_uint(settings.text("HOMELAB_LLM_GPU_LAYERS")))
    options.gpu_layers = static_cast<int>(*layers);
  options.sandbox = settings.engine_sandbox();
  options.max_loaded = static_cast<unsigned>(settings.max_loaded());
  options.hang_timeout = settings.hang_time();
  options.keep_alive = settings.idle_unload();
  for (auto const& name : settings.pinned()) options.pinned.insert(name);
  return options;
}

/// Members are in the order in which they are built; stop() takes them down in reverse.
class RunningApplication final : public Application {
 public:
  explicit RunningApplication(config::Settings const& settings)
      : settings_(settings),
        locations_(cli::locations_of(settings)),
        mirror_(mirrored_folders(locations_)) {}
  ~RunningApplication() override { RunningApplication::stop(std::chrono::milliseconds(0)); }

  Status build(Options const& options) {
    if (options.recover_interrupted_loads) {
      // Before anybody touches the database: the other server must not notice anything.
      ASSIGN_OR_RETURN(auto lock,
                       registry::ServerLock::take(settings_.database_path(),
                                                  registry::this_process(cli::is_in_container())));
      lock_ = std::make_unique<registry::ServerLock>(std::move(lock));
      RETURN_IF_ERROR(set_aside_damaged_database());
    } else {
      RETURN_IF_ERROR(registry::check_shareable(settings_.database_path()));
    }
    ASSIGN_OR_RETURN(registry_,
                     registry::Registry::open(settings_.database_path(),
                                              {settings_.runs_keep_time(), settings_.runs_keep()}));
    if (options.recover_interrupted_loads) RETURN_IF_ERROR(recover_interrupted_loads());
    client_ = http::Client::create({.user_agent = "homelab-llm/" HOMELAB_VERSION});
    downloader_ = hub::Downloader::create(*client_, hub_options(settings_),
                                          cli::download_options_of(settings_));
    ASSIGN_OR_RETURN(auto engine_settings, engine_options(settings_));
    engine_settings.on_change = [this](engine::ModelChange const& change) {
      feed_.model_changed(change);
    };
    engine_settings.on_run = [this](std::string const& model, registry::PerformanceRow const& row) {
      metrics_.run_ended(model, row);
    };
    engine_settings.performance_logging = logging_wanted();
    ASSIGN_OR_RETURN(engines_,
                     engine::EngineService::create(std::move(engine_settings),
                                                   {loops_, *registry_, *downloader_, locations_}));
    usage_ = std::make_unique<cache::UsageMonitor>(locations_, kMeasureEvery);
    hub_ = std::make_unique<care::HubAccess>(
        care::HubAccess{*client_, hub_options(settings_), *downloader_});
    jobs_ = std::make_unique<jobs::JobBook>();
    http::ServerOptions server_options;
    server_options.host = options.host;
    server_options.port = options.port;
    ASSIGN_OR_RETURN(
        server_,
        http::Server::start(loops_, server_options,
                            api::make_router({*registry_, *engines_, locations_, *usage_, mirror_,
                                              settings_, *jobs_, *hub_, HOMELAB_VERSION, *timers_,
                                              feed_, metrics_, make_gate(settings_)})));
    if (lock_) lock_->announce(fmt::format("{}:{}", options.host, server_->port()));
    preload();
    return {};
  }

  /// What the setting says, else the switch as it was left, else on.
  [[nodiscard]] bool logging_wanted() const {
    if (auto const said = settings_.log_runs()) return *said;
    auto const kept = registry_->switch_state(api::kLoggingSwitch);
    if (!kept) logger("registry")->warn("the logging switch: {}", kept.error().message);
    return kept ? kept->value_or(true) : true;
  }

  /// In the order of the list; the first is "the loaded model".
  void preload() {
    for (auto const& name : settings_.preload()) {
      engines_->load(name, false, engine::Place::kBeside, [name](auto const& loaded) {
        if (!loaded) logger("engine")->error("preload of {}: {}", name, loaded.error().message);
      });
    }
  }

  Status set_aside_damaged_database() {
    auto const file = settings_.database_path();
    ASSIGN_OR_RETURN(auto const aside, registry::set_aside_if_damaged(file));
    if (!aside) return {};
    auto const backup = registry::newest_backup(file);
    logger("registry")
        ->error(
            "the database {} is damaged; it is kept as {}, and the server begins with an empty "
            "one. Model files are not affected. {}",
            file.string(), aside->string(),
            backup ? fmt::format("To go back to the newest copy, stop the server and run: "
                                 "homelab-llm db restore {}",
                                 backup->string())
                   : "There is no copy to restore: register the models again (homelab-llm cache ls "
                     "shows them)");
    return {};
  }

  Status recover_interrupted_loads() {
    ASSIGN_OR_RETURN(auto const interrupted, registry_->recover_interrupted_loads());
    for (auto const& name : interrupted)
      logger("registry")
          ->warn(
              "\"{}\" was being loaded when the server last ended; it is marked incompatible until "
              "it is loaded with force",
              name);
    return {};
  }

  int port() const override { return server_->port(); }

  void stop(std::chrono::milliseconds grace) override {
    // Jobs stop where they can go on later, meanwhile the engines stop.
    if (jobs_) jobs_->close();
    // Engines first refuse new work and let running streams end; then the listener has nothing left
    // to wait for.
    if (engines_) engines_->shutdown(grace);
    feed_.close();
    if (jobs_) jobs_->shutdown();  // ends their watchers' streams, too
    if (server_) server_->stop(std::chrono::seconds(1));
    server_.reset();
    jobs_.reset();
    hub_.reset();
    usage_.reset();
    engines_.reset();
    downloader_.reset();
    client_.reset();
    registry_.reset();
    lock_.reset();
  }

 private:
  config::Settings const& settings_;
  cache::Locations locations_;
  mirror::Mirror mirror_;
  http::IoLoops loops_{kIoLoops};
  std::unique_ptr<http::Timers> timers_ = http::make_timers(loops_);
  api::ModelFeed feed_;
  api::Metrics metrics_;
  std::unique_ptr<registry::ServerLock> lock_;
  std::unique_ptr<registry::Registry> registry_;
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<hub::Downloader> downloader_;
  std::unique_ptr<engine::EngineService> engines_;
  std::unique_ptr<cache::UsageMonitor> usage_;
  std::unique_ptr<care::HubAccess> hub_;
  std::unique_ptr<jobs::JobBook> jobs_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace

Result<std::unique_ptr<Application>> Application::start(config::Settings const& settings,
                                                        Options const& options) {
  auto application = std::make_unique<RunningApplication>(settings);
  RETURN_IF_ERROR(application->build(options));
  return application;
}

}  // namespace homelab
