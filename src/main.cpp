// homelab-llm: server and command line. Everything is put together here and in application.cpp.
#include "application.h"
#include "cli/cli.h"

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

}  // namespace

int main(int argc, char** argv) {
  homelab::cli::Hooks hooks;
  hooks.version = HOMELAB_VERSION;
  hooks.serve = homelab::serve;
  hooks.serve_mirror = homelab::serve_mirror;
  hooks.start_private = start_private;
  return homelab::cli::run(argc, argv, hooks);
}
