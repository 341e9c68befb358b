#pragma once
// The composition root: builds every module from the settings, hands each its options, owns
// start-up and shutdown order.
#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/settings.h"

namespace homelab {

/// A running server: registry, downloader, engines, routes, listener. Stops in its destructor.
class Application {
 public:
  struct Options {
    std::string host;
    int port = 0;  ///< 0 = any free port
    /// Books loads that never ended (contract §6). Only for the one server of a database: a second
    /// one beside it would take a load that is going on for a crash.
    bool recover_interrupted_loads = false;
  };
  /// Everything is up and listening when this returns.
  [[nodiscard]] static Result<std::unique_ptr<Application>> start(config::Settings const& settings,
                                                                  Options const& options);
  virtual ~Application() = default;

  [[nodiscard]] virtual int port() const = 0;
  /// Running streams may end within `grace`; downloads stop resumable; engines are gone afterwards.
  /// Idempotent.
  virtual void stop(std::chrono::milliseconds grace) = 0;
};

/// `homelab-llm serve`: banner, server, until SIGINT or SIGTERM. Gives the exit code.
int serve(config::Settings const& settings);
/// `homelab-llm mirror`: a cache folder as a read-only Hub endpoint, until SIGINT or SIGTERM.
int serve_mirror(config::Settings const& settings, std::string const& root, std::string const& host,
                 int port);

}  // namespace homelab
