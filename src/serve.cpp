#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <cstdio>

#include "api/routes.h"
#include "application.h"
#include "base/log.h"
#include "cli/settings_locations.h"
#include "gate_options.h"
#include "http/server.h"
#include "mirror/mirror.h"

namespace homelab {
namespace {

using std::chrono::seconds;

/// How long streams may go on after SIGINT/SIGTERM. Container engines kill after ten seconds by
/// default.
constexpr auto kGrace = seconds(5);

/// Takes SIGINT and SIGTERM away from every thread started later, so that wait_for_stop() alone
/// sees them.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
  }
  int wait() const {
    int number = 0;
    while (sigwait(&set_, &number) != 0) {
    }
    return number;
  }

 private:
  sigset_t set_{};
};

void say(std::string const& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

std::string describe_location(cache::Locations const& locations,
                              cache::LocationOptions const& options) {
  auto const resolved = locations.resolve(options);
  std::string text = fmt::format("{} cache: {}  (from {})\n", to_string(options.kind), options.root,
                                 options.origin);
  if (!options.here_why.empty())
    text += fmt::format("  which is {} here  ({})\n", options.here.string(), options.here_why);
  return text +
         fmt::format("  models are in {}  ({})", resolved.hub.path.string(), resolved.hub.why);
}

/// Names the cache locations in effect and where every changed setting came from (mission: "start
/// server and check logs ... grep -i cache").
void print_banner(config::Settings const& settings) {
  auto const locations = cli::locations_of(settings);
  say("homelab-llm " HOMELAB_VERSION);
  for (auto const& location : locations.all()) say(describe_location(locations, location));
  for (auto const& row : settings.explain())
    if (row.origin != "default")
      say(fmt::format("setting {} = {}  ({})", row.setting->name, row.shown, row.origin));
  for (auto const& warning : settings.warnings()) say("warning: " + warning);
}

std::string base_url(std::string const& host, int port) {
  std::string const shown = host == "0.0.0.0" || host == "::" ? "127.0.0.1" : host;
  bool const is_ipv6 = shown.find(':') != std::string::npos;
  return is_ipv6 ? fmt::format("http://[{}]:{}", shown, port)
                 : fmt::format("http://{}:{}", shown, port);
}

}  // namespace

int serve(config::Settings const& settings) {
  StopSignals const signals;
  setup_logging(settings.text("HOMELAB_LLM_LOG_LEVEL"));
  print_banner(settings);
  auto application = Application::start(
      settings, {settings.host(), settings.port(), /*recover_interrupted_loads=*/true});
  if (!application) {
    std::fputs(("error: " + application.error().message + "\n").c_str(), stderr);
    return 1;
  }
  std::string const url = base_url(settings.host(), (*application)->port());
  say(fmt::format("listening on {}  page {}/  docs {}/docs", url, url, url));
  int const signal_number = signals.wait();
  say(fmt::format("stopping ({})", signal_number == SIGINT ? "SIGINT" : "SIGTERM"));
  (*application)->stop(kGrace);
  say("stopped");
  return 0;
}

int serve_mirror(config::Settings const& settings, std::string const& root, std::string const& host,
                 int port) {
  StopSignals const signals;
  setup_logging(settings.text("HOMELAB_LLM_LOG_LEVEL"));
  auto const hub = cache::hub_folder_of_root(root);
  mirror::Mirror const mirror({hub.path});
  http::IoLoops loops(1);
  http::ServerOptions options;
  options.host = host;
  options.port = port;
  auto server =
      http::Server::start(loops, options, api::make_mirror_router(mirror, make_gate(settings)));
  if (!server) {
    std::fputs(("error: " + server.error().message + "\n").c_str(), stderr);
    return 1;
  }
  say(fmt::format("offering {} at {}  (use it with HF_ENDPOINT)", hub.path.string(),
                  base_url(host, (*server)->port())));
  signals.wait();
  (*server)->stop(seconds(1));
  return 0;
}

}  // namespace homelab
