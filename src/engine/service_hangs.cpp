// The part of the service that ends engines which hang (docs/decisions/0018), and leaves alone
// models whose engine dies at every load.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "engine_process.h"
#include "service.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;

constexpr int kLooksWithinPatience = 8;
constexpr milliseconds kShortestLook{10};
constexpr milliseconds kLongestLook{2000};

}  // namespace

void Service::watch_for_hangs() {
  if (options_.hang_timeout.count() <= 0 || std::exchange(watching_, true)) return;
  auto const pause =
      std::clamp(options_.hang_timeout / kLooksWithinPatience, kShortestLook, kLongestLook);
  loop_->at(ServiceLoop::Clock::now() + pause, [this] {
    watching_ = false;
    look_for_hangs();
  });
}

void Service::look_for_hangs() {
  std::vector<std::string> hung;
  bool work = false;
  for (auto const& [model, engine] : engines_) {
    if (!engine->process || engine->remote) continue;  // an external one is asked for its health
    work = work || engine->active_requests > 0;
    if (hangs(*engine)) hung.push_back(model);
  }
  for (auto const& model : hung) end_hung(model);
  if (work) watch_for_hangs();
}

bool Service::hangs(LoadedEngine& engine) const {
  auto sample = read_work(engine.info.pid);
  if (!sample) return false;  // it has ended, which is told elsewhere
  sample->heard = engine.heard;
  if (!engine.progress) engine.progress.emplace(options_.hang_timeout);
  return engine.progress->hangs(*sample, engine.active_requests > 0, ServiceLoop::Clock::now());
}

void Service::end_hung(std::string const& model) {
  auto& process = *engines_.at(model)->process;
  std::string const message =
      fmt::format("model '{}': {}", model, hang_message(process, options_.hang_timeout));
  logger("engine")->error("{}", message);
  process.log().file()->append(message + "\n");
  auto const engine = retire(model, {Code::kUnavailable, message});
  last_death_ = fmt::format("the engine of '{}' hung and was ended", model);
  last_failure_[model] = last_death_;
  // On its own thread: a process that the kernel holds ends late.
  stopper_->post_internal([engine] { stop_process(*engine, milliseconds(0)); });
  apply(schedule_.engine_died(model, ServiceLoop::Clock::now()));
}

std::optional<Error> Service::load_refusal(std::string const& model, bool force) {
  if (force) schedule_.forget_failures(model);
  auto const wait = schedule_.load_retry_after(model, ServiceLoop::Clock::now());
  if (wait.count() <= 0) return std::nullopt;
  auto const why = last_failure_.find(model);
  return Error{Code::kAborted,
               fmt::format("model '{}' is left alone for {} s, because its engine died at the last "
                           "loads: {}. Set force_load to true to try it at once.",
                           model, std::chrono::ceil<Seconds>(wait).count(),
                           why == last_failure_.end() ? "unknown reason" : why->second)};
}

}  // namespace homelab::engine
