#include "cache/usage_monitor.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "cache/scan.h"

namespace homelab::cache {
namespace {

LocationUsage usage_of(Locations const& locations, LocationOptions const& location,
                       std::function<bool()> const& stopping) {
  LocationUsage usage;
  usage.kind = location.kind;
  usage.degraded = Locations::trouble(location);
  usage.space = locations.check_space(location, 0, stopping, ScanSource::kIndex);
  usage.measured_at = utc_now();
  return usage;
}

LocationUsage unmeasured(LocationOptions const& options) {
  LocationUsage usage;
  usage.kind = options.kind;
  usage.space.path = options.root;
  usage.space.limit_gb = options.limit_gb;
  usage.space.sufficient = true;
  return usage;
}

}  // namespace

struct UsageMonitor::State {
  Locations const& locations;
  std::chrono::milliseconds every;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<LocationUsage> latest;
  bool asked = false;
  bool stopping = false;
  std::thread thread;

  void run() {
    std::unique_lock guard(mutex);
    while (!stopping) {
      asked = false;
      guard.unlock();
      auto const is_over = [this] {
        std::lock_guard const look(mutex);
        return stopping;
      };
      std::vector<LocationUsage> measured;
      for (auto const& location : locations.all())
        measured.push_back(usage_of(locations, location, is_over));
      guard.lock();
      latest = std::move(measured);
      changed.notify_all();
      changed.wait_for(guard, every, [this] { return stopping || asked; });
    }
  }
};

UsageMonitor::UsageMonitor(Locations const& locations, std::chrono::milliseconds every)
    : state_(new State{locations, every, {}, {}, {}, false, false, {}}) {}

UsageMonitor::~UsageMonitor() {
  {
    std::lock_guard const guard(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  if (state_->thread.joinable()) state_->thread.join();
}

std::vector<LocationUsage> UsageMonitor::latest(std::chrono::milliseconds limit) {
  std::unique_lock guard(state_->mutex);
  if (!state_->thread.joinable())
    state_->thread = std::thread([state = state_.get()] { state->run(); });
  state_->changed.wait_for(guard, limit, [this] { return !state_->latest.empty(); });
  if (!state_->latest.empty()) return state_->latest;
  std::vector<LocationUsage> unknown;
  for (auto const& location : state_->locations.all()) unknown.push_back(unmeasured(location));
  return unknown;
}

void UsageMonitor::refresh_soon() {
  {
    std::lock_guard const guard(state_->mutex);
    state_->asked = true;
  }
  state_->changed.notify_all();
}

}  // namespace homelab::cache
