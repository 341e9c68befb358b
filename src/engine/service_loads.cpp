// The part of the service that lets engines come and go.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/log.h"
#include "base/os/memory.h"
#include "base/os/process.h"
#include "base/strings.h"
#include "service.h"

namespace homelab::engine {
namespace {

/// What a dead engine had sent is read within this.
constexpr std::chrono::seconds kLastWordsTime{2};

}  // namespace

Effects Service::start_load(StartLoad const& effect) {
  auto const refused = [this](Error error) {
    last_outcome_ = fail(std::move(error));
    return schedule_.load_ended(Schedule::LoadResult::kRefused, ServiceLoop::Clock::now());
  };
  auto row = dependencies_.registry.find(effect.model);
  if (!row) return refused(row.error());
  if (row->compatibility_status == "incompatible" && !effect.force) {
    return refused(
        {Code::kFailedPrecondition,
         fmt::format(
             "model '{}' is marked as incompatible: {}. Set force_load to true to try it again.",
             row->model_name, row->compatibility_notes.value_or("no notes"))});
  }
  auto config = parse_load_config(row->load_config);
  if (!config) return refused(config.error());
  http::Client* const outside = config->engine ? &outside_client() : nullptr;
  last_death_.clear();
  loading_name_ = effect.model;
  LoadJob::Start start{.model = std::move(*row),
                       .previous = nullptr,
                       .job_id = jobs_.begin("load", effect.model, "starting"),
                       .number = ++load_number_,
                       .device = device_,
                       .make_room = [this](std::uint64_t bytes) { return wait_for_room(bytes); },
                       .any_size = effect.force,
                       .config = *std::move(config),
                       .outside = outside,
                       .logs = logs_};
  std::string const before = effect.place == Place::kInstead ? schedule_.current() : std::string();
  schedule_.load_began();
  if (!before.empty()) start.previous = retire(before, unloaded(before));
  load_ = std::make_shared<LoadJob>(options_, dependencies_, jobs_, memory_, std::move(start));
  loader_->post_internal([this, job = load_] {
    auto const outcome = std::make_shared<LoadOutcome>(job->run());
    loop_->post_internal([this, job, outcome] { load_finished(job, *outcome); });
  });
  return {};
}

void Service::cancel_load() {
  if (load_) load_->cancel();
  if (room_)
    std::exchange(room_, std::nullopt)->set_value(fail(Code::kCancelled, "the load was cancelled"));
}

Service::Room Service::wait_for_room(std::uint64_t bytes) {
  std::promise<Room> promise;
  auto answer = promise.get_future();
  auto const shared = std::make_shared<std::promise<Room>>(std::move(promise));
  loop_->post_internal([this, shared, bytes] {
    room_ = std::move(*shared);
    room_bytes_ = bytes;
    if (load_ && load_->is_cancelled()) return cancel_load();
    apply(schedule_.room_wanted(bytes, ServiceLoop::Clock::now()));
  });
  return answer.get();
}

Effects Service::measure_room() {
  std::uint64_t mapped = 0;
  std::uint64_t promised = 0;
  std::map<std::string, std::uint64_t> resident;
  for (auto const& [name, engine] : engines_) {
    auto const memory = memory_of(*engine);
    resident[name] = std::max(memory.total(), engine->expected_bytes);
    promised += resident[name] - memory.total();
    mapped += memory.file_bytes;
    memory_.measured(engine->memory_key, std::max(memory.total(), engine->weight_bytes));
  }
  std::uint64_t free = 0;
  if (options_.free_memory) {
    free = options_.free_memory();
  } else if (auto const available = os::available_memory()) {
    // The kernel counts mapped weights as available, but the models need them in memory.
    free = *available - std::min(*available, mapped);
  } else {
    logger("engine")->warn("{}; the load goes on unchecked", available.error().message);
    free = std::numeric_limits<std::uint64_t>::max() / 2;
  }
  free_bytes_ = free - std::min(free, promised);
  return schedule_.room_measured(free, resident, ServiceLoop::Clock::now(), promised);
}

void Service::grant_room(GrantRoom const& effect) {
  std::vector<Engine> leaving;
  for (auto const& model : effect.leaving) {
    logger("engine")->info("{} leaves to make room for {}", model, loading_name_);
    leaving.push_back(retire(model, unloaded(model)));
  }
  if (room_) std::exchange(room_, std::nullopt)->set_value(std::move(leaving));
}

void Service::deny_room() {
  constexpr double kGigabyte = 1e9;
  std::string others;
  for (auto const& [name, engine] : engines_)
    others += fmt::format("{}'{}'{}", others.empty() ? "" : ", ", name,
                          schedule_.is_pinned(name) ? " (pinned)" : "");
  std::string message;
  if (free_bytes_ >= room_bytes_) {
    message = fmt::format(
        "model '{}' finds no place: {} may be loaded at once (HOMELAB_LLM_MAX_LOADED), and none of "
        "those that are may go: {}",
        loading_name_, counted(options_.max_loaded, "model"), others);
  } else {
    message = fmt::format(
        "model '{}' needs about {:.1f} GB of memory, {:.1f} GB are free{}. Give it fewer tokens of "
        "context (HOMELAB_LLM_CONTEXT) or slots (HOMELAB_LLM_SLOTS), take a smaller quantisation, "
        "or load it with force to try it all the same",
        loading_name_, static_cast<double>(room_bytes_) / kGigabyte,
        static_cast<double>(free_bytes_) / kGigabyte, others.empty() ? "" : "; loaded: " + others);
  }
  if (room_) std::exchange(room_, std::nullopt)->set_value(fail(Code::kResourceExhausted, message));
}

void Service::load_finished(std::shared_ptr<LoadJob> const& job, LoadOutcome const& outcome) {
  constexpr std::size_t kMaxRemembered = 256;
  if (load_ == job) load_.reset();
  last_outcome_ = outcome.model;
  std::string const name = std::exchange(loading_name_, {});
  jobs_.end(job->id(), outcome.model ? Status{} : fail(Error(outcome.model.error())));
  auto result = Schedule::LoadResult::kLoaded;
  if (outcome.engine) {
    last_failure_.erase(name);
    engines_[name] = outcome.engine;
    logger("engine")->info("loaded {} (process {})", name, outcome.engine->info.pid);
    watch(outcome.engine);
  } else {
    auto const& error = outcome.model.error();
    result = error.code == Code::kCancelled ? Schedule::LoadResult::kCancelled
             : outcome.engine_failed        ? Schedule::LoadResult::kDied
                                            : Schedule::LoadResult::kFailed;
    if (last_failure_.size() >= kMaxRemembered) last_failure_.clear();
    last_failure_[name] = error.message;
    logger("engine")->warn("{}", error.message);
  }
  auto effects = schedule_.load_ended(result, ServiceLoop::Clock::now());
  // Before the answers: who hears that the model is loaded finds it loaded.
  publish();
  apply(std::move(effects));
}

// ---- Engines ----

void Service::watch(Engine const& engine) {
  loop_->watch(engine->process->pidfd(),
               [this, model = engine->info.name] { engine_ended(model); });
  auto& log = engine->process->log();
  loop_->watch(log.fd(), [this, &log] {
    if (!log.drain()) loop_->unwatch(log.fd());
  });
  if (engine->remote) check_health_later(engine);
}

void Service::unwatch(LoadedEngine const& engine) {
  loop_->unwatch(engine.process->pidfd());
  loop_->unwatch(engine.process->log().fd());
}

Service::Engine Service::retire(std::string const& model, Error const& reason,
                                TaskDesk::Rest rest) {
  auto const engine = engines_.at(model);
  if (auto const memory = memory_of(*engine); memory.total() > 0)
    memory_.measured(engine->memory_key, std::max(memory.total(), engine->weight_bytes));
  unwatch(*engine);
  engines_.erase(model);
  engine->ended = reason;
  // Before the requests are told: who hears that the engine is gone does not find it loaded.
  publish();
  desk_.engine_gone(*engine, reason, rest);
  return engine;
}

void Service::stop_engine(std::string const& model) {
  auto engine = retire(model, unloaded(model));
  // Before its turn with the stopper: several end side by side.
  ask_to_stop(*engine);
  stopper_->post_internal([this, engine] {
    stop_process(*engine, options_.stop_grace);
    loop_->post_internal([this, engine] { apply(schedule_.engine_stopped(engine->info.name)); });
  });
}

void Service::engine_ended(std::string const& model) {
  auto const found = engines_.find(model);
  auto const status = found == engines_.end() ? std::nullopt : found->second->process->ended();
  if (!status) return;
  std::string message = found->second->process->end_message(*status);
  message.insert(0, fmt::format("model '{}': ", model));
  logger("engine")->error("{}", message);
  Error const reason{Code::kUnavailable, message};
  // The last words of our own engine still lie in its sockets, which end with it.
  auto const rest = found->second->remote ? TaskDesk::Rest::kDropped : TaskDesk::Rest::kRead;
  auto const engine = retire(model, reason, rest);
  engine->process.reset();
  // Unless another process holds them.
  loop_->at(ServiceLoop::Clock::now() + kLastWordsTime,
            [this, engine, reason] { desk_.engine_gone(*engine, reason); });
  last_death_ = engine->remote
                    ? message
                    : fmt::format("the engine of '{}' was lost: {}", model, os::to_string(*status));
  last_failure_[model] = last_death_;
  apply(schedule_.engine_died(model, ServiceLoop::Clock::now()));
}

}  // namespace homelab::engine
