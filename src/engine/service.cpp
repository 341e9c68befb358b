#include "service.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "base/log.h"
#include "base/os/process.h"
#include "base/strings.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxTasks = 256;
/// How long a broken connection may wait for the news that its engine died. The kernel closes a
/// dead process's sockets just before it reports the death.
constexpr milliseconds kDeathNews{1000};
constexpr milliseconds kTaskFarewell{5000};

Error shutting_down() { return {Code::kUnavailable, "the server is shutting down"}; }
Error too_many() {
  return {Code::kResourceExhausted,
          "too many requests are waiting for the engine; try again later"};
}

}  // namespace

/// Brings what tasks report onto the service loop. Outlives the service: after the loop has stopped
/// reports are dropped.
class Service::Host final : public TaskHost {
 public:
  Host(Service& service, std::shared_ptr<ServiceLoop> loop)
      : service_(service), loop_(std::move(loop)) {}
  void connection_broke(std::shared_ptr<EngineTask> task, Error error) override {
    loop_->post_internal([this, task = std::move(task), error = std::move(error)] {
      service_.decide_broken(task, error);
    });
  }
  void task_ended(std::shared_ptr<EngineTask> task) override {
    loop_->post_internal([this, task = std::move(task)] { service_.forget_task(task); });
  }

 private:
  Service& service_;
  std::shared_ptr<ServiceLoop> const loop_;
};

Service::Service(Options options, Dependencies dependencies, std::shared_ptr<ServiceLoop> loop,
                 std::unique_ptr<ServiceLoop> worker)
    : options_(std::move(options)),
      dependencies_(dependencies),
      loop_(std::move(loop)),
      worker_(std::move(worker)),
      host_(std::make_shared<Host>(*this, loop_)) {}

Service::~Service() { shutdown(milliseconds(0)); }

// ---- The public side: any thread ----

void Service::post_or_refuse(ServiceLoop::Command command,
                             std::function<void(Error)> const& refused) {
  if (refusing_) {
    refused(shutting_down());
  } else if (!loop_->post(std::move(command))) {
    refused(too_many());
  }
}

void Service::load(std::string name, bool force,
                   std::function<void(Result<registry::Model>)> done) {
  std::string const wanted(trim(name));
  auto const command = [this, wanted, force, done] {
    Ticket const ticket = ++last_ticket_;
    load_waiters_[ticket] = {done, wanted};
    apply(schedule_.load_requested(ticket, wanted, force));
  };
  post_or_refuse(command, [&](Error error) { done(fail(std::move(error))); });
}

void Service::unload(std::function<void(Result<std::string>)> done) {
  auto const command = [this, done] {
    Ticket const ticket = ++last_ticket_;
    unload_waiters_[ticket] = done;
    apply(schedule_.unload_requested(ticket));
  };
  post_or_refuse(command, [&](Error error) { done(fail(std::move(error))); });
}

void Service::remove_model(std::string name, std::function<void(Result<registry::Model>)> done) {
  auto const command = [this, name = std::string(trim(name)), done] { remove_now(name, done); };
  post_or_refuse(command, [&](Error error) { done(fail(std::move(error))); });
}

void Service::if_unused(std::vector<std::string> names, std::function<void(Status)> then) {
  auto const command = [this, names = std::move(names), then] {
    Status all;
    for (auto const& name : names)
      if (all) all = check_unused(std::string(trim(name)));
    then(std::move(all));
  };
  post_or_refuse(command, [&](Error error) { then(fail(std::move(error))); });
}

void Service::validate(std::function<void(Result<ValidateOutcome>)> done) {
  auto const command = [this, done] { validate_now(done); };
  post_or_refuse(command, [&](Error error) { done(fail(std::move(error))); });
}

Generation::LogRow Service::row_logger() {
  return [this](registry::PerformanceRow row) {
    if (performance_logging_) dependencies_.registry.log_performance(std::move(row));
  };
}

std::shared_ptr<Running> Service::generate(GenerateRequest request, GenerateCallbacks callbacks) {
  auto task = std::make_shared<Generation>(dependencies_.loops, host_, std::move(request),
                                           std::move(callbacks), row_logger());
  submit(task);
  return task;
}

std::shared_ptr<Running> Service::forward(std::string method, std::string target, std::string body,
                                          http::LocalCallbacks callbacks) {
  http::LocalRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  if (!body.empty()) request.headers.set("Content-Type", "application/json");
  request.body = std::move(body);
  auto task = std::make_shared<ForwardTask>(dependencies_.loops, host_, std::move(request),
                                            std::move(callbacks));
  submit(task);
  return task;
}

void Service::submit(std::shared_ptr<EngineTask> const& task) {
  {
    std::lock_guard const lock(published_mutex_);
    ++running_tasks_;
  }
  post_or_refuse([this, task] { start_task(task); },
                 [&](Error error) { task->refuse(std::move(error)); });
}

std::optional<LoadedModel> Service::loaded() const {
  std::shared_ptr<LoadedEngine const> engine;
  {
    std::lock_guard const lock(published_mutex_);
    engine = published_;
  }
  if (!engine) return std::nullopt;
  LoadedModel model = engine->info;
  model.resident_bytes = os::resident_bytes(model.pid).value_or(0);
  model.active_requests = engine->active_requests;
  return model;
}

void Service::shutdown(milliseconds grace) {
  std::lock_guard const one_at_a_time(shutdown_mutex_);
  std::unique_lock lock(published_mutex_);
  if (std::exchange(shut_down_, true)) return;
  lock.unlock();
  refusing_ = true;
  loop_->post_internal([this] { apply(schedule_.shutdown_requested()); });
  lock.lock();
  progress_.wait_for(lock, grace, [this] { return running_tasks_ == 0; });
  lock.unlock();
  loop_->post_internal([this] {
    for (auto const& task : tasks_) task->stop(shutting_down());
    apply(schedule_.stop_requested());
    std::lock_guard const last(published_mutex_);
    last_command_ran_ = true;
    progress_.notify_all();
  });
  // The load thread ends when its load noticed the cancel, or its engine is stopped: both are
  // bounded there.
  lock.lock();
  progress_.wait(lock, [this] { return last_command_ran_ && idle_; });
  if (!progress_.wait_for(lock, kTaskFarewell, [this] { return running_tasks_ == 0; }))
    logger("engine")->error("{} requests did not end at shutdown", running_tasks_);
  lock.unlock();
  worker_->stop();
  loop_->stop();
}

// ---- The service loop ----

void Service::publish() {
  {
    std::lock_guard const lock(published_mutex_);
    published_ = engine_;
    idle_ = schedule_.idle();
  }
  progress_.notify_all();
}

void Service::apply(Effects effects) {
  std::deque<Effect> open(effects.begin(), effects.end());
  while (!open.empty()) {
    Effect const effect = std::move(open.front());
    open.pop_front();
    for (auto& more : perform(effect)) open.push_back(std::move(more));
  }
  publish();
}

Effects Service::perform(Effect const& effect) {
  if (auto const* start = std::get_if<StartLoad>(&effect)) return start_load(*start);
  if (std::holds_alternative<CancelLoad>(effect) && load_) load_->cancel();
  if (std::holds_alternative<StopEngine>(effect)) stop_engine();
  if (auto const* reply = std::get_if<Answer>(&effect)) answer(*reply);
  return {};
}

Effects Service::start_load(StartLoad const& effect) {
  auto row = dependencies_.registry.find(effect.model);
  if (row && row->compatibility_status == "incompatible" && !effect.force) {
    last_outcome_ = fail(
        Code::kFailedPrecondition,
        fmt::format(
            "model '{}' is marked as incompatible: {}. Set force_load to true to try it again.",
            row->model_name, row->compatibility_notes.value_or("no notes")));
    return schedule_.load_ended(Schedule::LoadResult::kRefused);
  }
  if (!row) {
    last_outcome_ = fail(std::move(row).error());
    return schedule_.load_ended(Schedule::LoadResult::kRefused);
  }
  schedule_.load_began();
  last_death_.clear();
  loading_name_ = effect.model;
  LoadJob::Start start{.model = std::move(*row),
                       .previous = nullptr,
                       .job_id = 0,
                       .number = ++load_number_,
                       .device = device_};
  if (engine_)
    start.previous =
        retire_engine({Code::kAborted, fmt::format("model '{}' was unloaded", engine_->info.name)});
  start.job_id = jobs_.begin("load", effect.model, "starting");
  load_ = std::make_shared<LoadJob>(options_, dependencies_, jobs_, std::move(start));
  worker_->post_internal([this, job = load_] {
    auto const outcome = std::make_shared<LoadOutcome>(job->run());
    loop_->post_internal([this, job, outcome] { load_finished(job, *outcome); });
  });
  return {};
}

void Service::load_finished(std::shared_ptr<LoadJob> const& job, LoadOutcome const& outcome) {
  if (load_ == job) load_.reset();
  last_outcome_ = outcome.model;
  last_unloaded_ = std::exchange(loading_name_, {});
  engine_ = outcome.engine;
  jobs_.end(job->id(), outcome.model ? Status{} : fail(Error(outcome.model.error())));
  if (engine_) {
    logger("engine")->info("loaded {} (process {})", engine_->info.name, engine_->info.pid);
    watch_engine();
  } else {
    logger("engine")->warn("{}", outcome.model.error().message);
  }
  // Before the answers: who hears that the model is loaded finds it loaded.
  publish();
  apply(schedule_.load_ended(engine_ ? Schedule::LoadResult::kLoaded
                                     : Schedule::LoadResult::kFailed));
}

void Service::watch_engine() {
  loop_->watch(engine_->process->pidfd(), [this] { engine_ended(); });
  auto& log = engine_->process->log();
  loop_->watch(log.fd(), [this, &log] {
    if (!log.drain()) loop_->unwatch(log.fd());
  });
}

void Service::unwatch_engine() {
  loop_->unwatch(engine_->process->pidfd());
  loop_->unwatch(engine_->process->log().fd());
}

std::shared_ptr<LoadedEngine> Service::retire_engine(Error const& reason) {
  unwatch_engine();
  auto engine = std::exchange(engine_, nullptr);
  engine->ended = reason;
  // Before the requests are told: who hears that the engine is gone does not find it loaded.
  publish();
  for (auto const& task : tasks_) {
    if (task->engine() != engine) continue;
    if (broken_.erase(task) > 0) {
      task->conclude(reason);
    } else {
      task->stop(reason);
    }
  }
  return engine;
}

void Service::stop_engine() {
  last_unloaded_ = engine_->info.name;
  auto engine =
      retire_engine({Code::kAborted, fmt::format("model '{}' was unloaded", engine_->info.name)});
  worker_->post_internal([this, engine] {
    auto const how = engine->process->stop(options_.stop_grace);
    engine->process.reset();
    logger("engine")->info("unloaded {} ({})", engine->info.name, os::to_string(how));
    loop_->post_internal([this] { apply(schedule_.engine_stopped()); });
  });
}

void Service::engine_ended() {
  auto const status = engine_->process->ended();
  if (!status) return;
  std::string message = engine_->process->end_message(*status);
  message.insert(0, fmt::format("model '{}': ", engine_->info.name));
  logger("engine")->error("{}", message);
  auto const engine = retire_engine({Code::kUnavailable, message});
  engine->process.reset();
  last_death_ =
      fmt::format("the engine of '{}' was lost: {}", engine->info.name, os::to_string(*status));
  apply(schedule_.engine_died());
}

void Service::answer(Answer const& answer) {
  if (auto load = load_waiters_.extract(answer.ticket)) {
    answer_load(load.mapped(), answer.reply);
  } else if (auto unload = unload_waiters_.extract(answer.ticket)) {
    answer_unload(unload.mapped(), answer.reply);
  }
}

void Service::answer_load(LoadWaiter const& waiter, Reply reply) {
  if (reply == Reply::kLoadOutcome) {
    waiter.done(last_outcome_);
  } else if (reply == Reply::kAlreadyLoaded) {
    waiter.done(dependencies_.registry.find(waiter.name));
  } else {
    waiter.done(fail(reply == Reply::kTooMany ? too_many() : shutting_down()));
  }
}

void Service::answer_unload(std::function<void(Result<std::string>)> const& done, Reply reply) {
  if (reply == Reply::kUnloaded) {
    done(last_unloaded_);
  } else if (reply == Reply::kNothingLoaded) {
    done(fail(Code::kFailedPrecondition, "no model is loaded, so there is nothing to unload"));
  } else {
    done(fail(reply == Reply::kTooMany ? too_many() : shutting_down()));
  }
}

Error Service::no_model() const {
  if (!loading_name_.empty())
    return {Code::kFailedPrecondition,
            fmt::format("no model is loaded: '{}' is still being loaded", loading_name_)};
  if (!last_death_.empty())
    return {Code::kFailedPrecondition,
            fmt::format("no model is loaded ({}); load one again", last_death_)};
  return {Code::kFailedPrecondition,
          "no model is loaded; load one first with POST /api/orchestrate/load"};
}

void Service::start_task(std::shared_ptr<EngineTask> const& task) {
  if (tasks_.size() >= kMaxTasks) {
    task->refuse(too_many());
  } else if (!engine_) {
    task->refuse(no_model());
  } else {
    tasks_.insert(task);
    task->start(engine_);
  }
}

void Service::decide_broken(std::shared_ptr<EngineTask> const& task, Error const& error) {
  if (task->engine()->ended) {
    task->conclude(*task->engine()->ended);
    return;
  }
  broken_.emplace(task, error);
  loop_->at(ServiceLoop::Clock::now() + kDeathNews, [this, task] {
    if (auto found = broken_.extract(task))
      task->conclude(std::move(found.mapped()).in("the connection to the engine broke"));
  });
}

void Service::forget_task(std::shared_ptr<EngineTask> const& task) {
  tasks_.erase(task);
  broken_.erase(task);
  {
    std::lock_guard const lock(published_mutex_);
    --running_tasks_;
  }
  progress_.notify_all();
}

Status Service::check_unused(std::string const& name) const {
  if (!schedule_.in_use(name)) return {};
  return fail(Code::kFailedPrecondition,
              fmt::format("model '{}' is loaded or being loaded; unload it first", name));
}

void Service::remove_now(std::string const& name,
                         std::function<void(Result<registry::Model>)> const& done) {
  // A short write on this loop: between the look at the state and the removal nothing else can
  // happen.
  if (auto unused = check_unused(name); !unused) {
    done(fail(std::move(unused).error()));
    return;
  }
  auto row = dependencies_.registry.find(name);
  if (row) {
    if (auto removed = dependencies_.registry.remove(row->id); !removed)
      row = fail(std::move(removed).error());
  }
  done(std::move(row));
}

void Service::validate_now(std::function<void(Result<ValidateOutcome>)> const& done) {
  if (!engine_) {
    done(fail(no_model()));
    return;
  }
  ValidateOutcome outcome{.model_name = engine_->info.name,
                          .device = engine_->info.device,
                          .dtype = engine_->info.dtype,
                          .error = {}};
  GenerateCallbacks callbacks;
  callbacks.on_done = [outcome, done](Result<GenerateStats> result) {
    ValidateOutcome filled = outcome;
    filled.healthy = result.has_value() && result->output_tokens > 0;
    if (!result) filled.error = result.error().message;
    if (result && !filled.healthy) filled.error = "the model generated nothing";
    done(std::move(filled));
  };
  GenerateRequest request;
  request.prompt = "Hello";
  request.max_tokens = 5;
  request.do_sample = false;
  {
    std::lock_guard const lock(published_mutex_);
    ++running_tasks_;
  }
  start_task(std::make_shared<Generation>(dependencies_.loops, host_, std::move(request),
                                          std::move(callbacks), Generation::LogRow()));
}

}  // namespace homelab::engine
