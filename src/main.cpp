// homelab-llm: server and command line. Everything is put together here and in application.cpp.
#include "application.h"
#include "cli/cli.h"
#include "registry/upkeep.h"

namespace {

/// A server inside this process, for `run` when none is running.
homelab::Result<homelab::cli::Hooks::PrivateServer> start_private(
    homelab::config::Settings const& settings) {
  auto started = homelab::Application::start(settings, {"127.0.0.1", 0});
  if (!started) return homelab::fail(std::move(started).error());
  std::shared_ptr<homelab::Application> application = std::move(*started);
  return homelab::cli::Hooks::PrivateServer{
      "http://127.0.0.1:" + std::to_string(application->port()),
      [application] { application->stop(std::chrono::milliseconds(0)); }};
}

homelab::cli::DatabaseState state_of(std::filesystem::path const& file,
                                     homelab::registry::DatabaseHealth health) {
  return {file,
          health.schema,
          health.size_bytes,
          health.models,
          health.performance_rows,
          std::move(health.damage),
          homelab::registry::newest_backup(file)};
}

homelab::cli::DatabaseHooks database_hooks() {
  using Path = std::filesystem::path;
  homelab::cli::DatabaseHooks hooks;
  hooks.check = [](Path const& file) -> homelab::Result<homelab::cli::DatabaseState> {
    auto health = homelab::registry::check_database(file);
    if (health) return state_of(file, *std::move(health));
    auto const copy = homelab::registry::newest_backup(file);
    if (copy && health.error().code == homelab::Code::kDataLoss)
      health.error().message += "; the newest copy is " + copy->string();
    return homelab::fail(std::move(health).error());
  };
  hooks.backup = homelab::registry::backup_database;
  hooks.restore = [](Path const& from,
                     Path const& file) -> homelab::Result<homelab::cli::DatabaseHooks::Restored> {
    ASSIGN_OR_RETURN(auto restored, homelab::registry::restore_database(from, file));
    return homelab::cli::DatabaseHooks::Restored{std::move(restored.replaced),
                                                 state_of(file, std::move(restored.health))};
  };
  return hooks;
}

}  // namespace

int main(int argc, char** argv) {
  homelab::cli::Hooks hooks;
  hooks.version = HOMELAB_VERSION;
  hooks.serve = homelab::serve;
  hooks.serve_mirror = homelab::serve_mirror;
  hooks.start_private = start_private;
  hooks.database = database_hooks();
  return homelab::cli::run(argc, argv, hooks);
}
