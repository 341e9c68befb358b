#pragma once
// All routes of the server, one dialect per file: JSON <-> calls of the modules.
#include <memory>
#include <string>
#include <vector>

#include "access/gate.h"
#include "api/metrics.h"
#include "api/model_feed.h"
#include "cache/locations.h"
#include "cache/usage_monitor.h"
#include "care/work.h"
#include "engine/engine_service.h"
#include "http/router.h"
#include "http/timers.h"
#include "jobs/job_book.h"
#include "mirror/mirror.h"
#include "registry/registry.h"

namespace homelab::config {
class Settings;
}

namespace homelab::api {

class RequestBook;

/// Under which the registry remembers whether runs are logged.
inline constexpr std::string_view kLoggingSwitch = "performance_logging";

/// What the routes call. Everything outlives the server; the job book is shut down first.
struct Services {
  registry::Registry& registry;
  engine::EngineService& engines;
  cache::Locations const& locations;
  cache::UsageMonitor& usage;
  mirror::Mirror const& mirror;
  config::Settings const& settings;
  jobs::JobBook& jobs;
  care::HubAccess const& hub;
  std::string version;
  http::Timers& timers;
  ModelFeed& feed;
  Metrics& metrics;
  std::shared_ptr<access::Gate> gate;               ///< looks at every request first
  std::shared_ptr<RequestBook> requests = nullptr;  ///< made by make_router when there is none
};

/// The complete router: /api (the original's contract), /health, /v1, /hub, the page.
[[nodiscard]] http::Router make_router(Services services);
/// Only the Hub mirror at the root ("/api/models/...", "/<id>/resolve/...") and /health: for
/// `homelab-llm mirror`.
[[nodiscard]] http::Router make_mirror_router(mirror::Mirror const& mirror,
                                              std::shared_ptr<access::Gate> const& gate);

}  // namespace homelab::api
