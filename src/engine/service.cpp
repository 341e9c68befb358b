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

constexpr milliseconds kTaskFarewell{5000};

Error shutting_down() { return {Code::kUnavailable, "the server is shutting down"}; }
Error too_many() {
  return {Code::kResourceExhausted,
          "too many requests are waiting for the engine; try again later"};
}

ScheduleOptions schedule_options(Options const& options) {
  ScheduleOptions out;
  out.max_models = std::max(1U, options.max_loaded);
  out.keep_alive = options.keep_alive;
  out.pinned = options.pinned;
  return out;
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
      service_.desk_.connection_broke(task, error);
    });
  }
  void stop_asked(std::shared_ptr<EngineTask> task) override {
    loop_->post_internal([this, task = std::move(task)] { service_.desk_.stop_asked(*task); });
  }
  void task_ended(std::shared_ptr<EngineTask> task) override {
    loop_->post_internal([this, task = std::move(task)] { service_.task_ended(task); });
  }

 private:
  Service& service_;
  std::shared_ptr<ServiceLoop> const loop_;
};

Service::Service(Options options, Dependencies dependencies, Threads threads)
    : options_(std::move(options)),
      dependencies_(dependencies),
      schedule_(schedule_options(options_)),
      loop_(std::move(threads.loop)),
      loader_(std::move(threads.loader)),
      stopper_(std::move(threads.stopper)),
      desk_(*loop_, threads_for(options_.threads)),
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

void Service::load(std::string name, bool force, Place place,
                   std::function<void(Result<registry::Model>)> done) {
  std::string const wanted(trim(name));
  auto const command = [this, wanted, force, place, done] {
    if (auto refusal = load_refusal(wanted, force)) return done(fail(*std::move(refusal)));
    Ticket const ticket = ++last_ticket_;
    load_waiters_[ticket] = {done, wanted};
    apply(schedule_.load_requested(ticket, wanted, force, place));
  };
  post_or_refuse(command, [&](Error error) { done(fail(std::move(error))); });
}

void Service::unload(std::string name, std::function<void(Result<std::string>)> done) {
  auto const command = [this, wanted = std::string(trim(name)), done] {
    Ticket const ticket = ++last_ticket_;
    unload_waiters_[ticket] = done;
    apply(schedule_.unload_requested(ticket, wanted));
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

LogRow Service::row_logger() {
  return [this](registry::PerformanceRow row) {
    if (options_.on_run) options_.on_run(row.model_name.value_or(""), row);
    if (performance_logging_) dependencies_.registry.log_performance(std::move(row));
  };
}

RequestCounts Service::request_counts() const {
  RequestCounts counts;
  std::lock_guard const lock(published_mutex_);
  for (auto const& [name, engine] : published_) counts.working += engine->active_requests;
  counts.waiting = running_tasks_ - std::min(running_tasks_, counts.working);
  return counts;
}

std::shared_ptr<Running> Service::generate(GenerateRequest request, GenerateCallbacks callbacks) {
  std::string model = request.model;
  auto task = std::make_shared<Generation>(dependencies_.loops, host_, std::move(request),
                                           std::move(callbacks), row_logger());
  submit(task, std::move(model), std::nullopt);
  return task;
}

std::shared_ptr<Running> Service::forward(ForwardRequest request, http::LocalCallbacks callbacks) {
  http::LocalRequest local;
  local.method = std::move(request.method);
  local.target = std::move(request.target);
  if (!request.body.empty()) local.headers.set("Content-Type", "application/json");
  local.body = std::move(request.body);
  auto task = std::make_shared<ForwardTask>(dependencies_.loops, host_, std::move(local),
                                            std::move(callbacks));
  task->record(std::move(request.label), row_logger());
  submit(task, std::move(request.model), request.keep_alive);
  return task;
}

void Service::submit(std::shared_ptr<EngineTask> const& task, std::string model,
                     std::optional<Seconds> keep_alive) {
  {
    std::lock_guard const lock(published_mutex_);
    ++running_tasks_;
  }
  post_or_refuse([this, task, model = std::move(model),
                  keep_alive] { start_task(task, std::string(trim(model)), keep_alive); },
                 [&](Error error) { task->refuse(std::move(error)); });
}

std::optional<LoadedModel> Service::loaded() const {
  for (auto& model : all_loaded())
    if (model.current) return std::move(model);
  return std::nullopt;
}

std::vector<LoadedModel> Service::all_loaded() const {
  std::map<std::string, std::shared_ptr<LoadedEngine const>> engines;
  std::string current;
  {
    std::lock_guard const lock(published_mutex_);
    engines = published_;
    current = published_current_;
  }
  std::vector<LoadedModel> out;
  for (auto const& [name, engine] : engines) {
    LoadedModel model = engine->info;
    model.resident_bytes = memory_of(*engine).total();
    model.active_requests = engine->active_requests;
    model.current = name == current;
    model.pinned = options_.pinned.contains(name);
    out.push_back(std::move(model));
  }
  return out;
}

std::chrono::seconds Service::retry_after(std::string const& model) const {
  std::lock_guard const lock(published_mutex_);
  auto const found = published_retries_.find(model);
  auto const now = ServiceLoop::Clock::now();
  if (found == published_retries_.end() || found->second <= now) return Seconds(0);
  return std::chrono::ceil<Seconds>(found->second - now);
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
    desk_.stop_all(shutting_down());
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
  loader_->stop();
  stopper_->stop();
  loop_->stop();
}

// ---- The service loop ----

/// Before what was published last is forgotten: engines that are gone know why.
std::vector<ModelChange> Service::changes() {
  std::set<std::string> loaded;
  for (auto const& [name, engine] : engines_) loaded.insert(name);
  return changes_.look(loaded, loading_name_, [this](std::string const& name, bool was_loaded) {
    if (!was_loaded) {
      bool const wished = last_outcome_ || last_outcome_.error().code == Code::kCancelled;
      return wished ? std::string() : last_outcome_.error().message;
    }
    auto const& ended = published_.at(name)->ended;
    return !ended || *ended == unloaded(name) ? std::string() : ended->message;
  });
}

void Service::publish() {
  std::vector<ModelChange> changed;
  {
    std::lock_guard const lock(published_mutex_);
    changed = changes();
    published_.clear();
    published_.insert(engines_.begin(), engines_.end());
    published_current_ = schedule_.current();
    published_retries_ = schedule_.retry_times();
    idle_ = schedule_.idle();
  }
  progress_.notify_all();
  if (!options_.on_change) return;
  for (auto const& change : changed) options_.on_change(change);
}

void Service::apply(Effects effects) {
  std::deque<Effect> open(effects.begin(), effects.end());
  while (!open.empty()) {
    Effect const effect = std::move(open.front());
    open.pop_front();
    for (auto& more : perform(effect)) open.push_back(std::move(more));
  }
  publish();
  set_timer();
}

Effects Service::perform(Effect const& effect) {
  if (auto const* start = std::get_if<StartLoad>(&effect)) return start_load(*start);
  if (std::holds_alternative<MeasureRoom>(effect)) return measure_room();
  if (std::holds_alternative<CancelLoad>(effect)) cancel_load();
  if (auto const* stop = std::get_if<StopEngine>(&effect)) stop_engine(stop->model);
  if (auto const* grant = std::get_if<GrantRoom>(&effect)) grant_room(*grant);
  if (std::holds_alternative<DenyRoom>(effect)) deny_room();
  if (auto const* reply = std::get_if<Answer>(&effect)) answer(*reply);
  return {};
}

/// Time alone may decide: a model that was idle long enough, a load that waited long enough.
void Service::set_timer() {
  auto const now = ServiceLoop::Clock::now();
  auto const next = schedule_.next_tick(now);
  if (!next || (timer_ && *timer_ > now && *timer_ <= *next)) return;
  timer_ = next;
  loop_->at(*next, [this] { apply(schedule_.tick(ServiceLoop::Clock::now())); });
}

// ---- Answers ----

void Service::answer(Answer const& answer) {
  if (auto load = load_waiters_.extract(answer.ticket)) {
    answer_load(load.mapped(), answer.reply);
  } else if (auto unload = unload_waiters_.extract(answer.ticket)) {
    answer_unload(unload.mapped(), answer);
  } else {
    answer_task(answer);
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

void Service::answer_unload(std::function<void(Result<std::string>)> const& done,
                            Answer const& answer) {
  if (answer.reply == Reply::kUnloaded) {
    done(answer.model);
  } else if (answer.reply == Reply::kNothingLoaded) {
    done(fail(
        Code::kFailedPrecondition,
        answer.model.empty()
            ? "no model is loaded, so there is nothing to unload"
            : fmt::format("model '{}' is not loaded, so it cannot be unloaded", answer.model)));
  } else {
    done(fail(answer.reply == Reply::kTooMany ? too_many() : shutting_down()));
  }
}

void Service::answer_task(Answer const& answer) {
  if (answer.reply == Reply::kUse) {
    desk_.begin(answer.ticket, engines_.at(answer.model));
    watch_for_hangs();
  } else {
    desk_.refuse(answer.ticket, why_not(answer));
  }
}

Error Service::why_not(Answer const& answer) const {
  auto const now = ServiceLoop::Clock::now();
  switch (answer.reply) {
    case Reply::kLoadOutcome:
      return last_outcome_ ? unloaded(answer.model) : last_outcome_.error();
    case Reply::kTooMany:
      return too_many();
    case Reply::kShuttingDown:
      return shutting_down();
    case Reply::kBackingOff: {
      auto const why = last_failure_.find(answer.model);
      return {
          Code::kUnavailable,
          fmt::format("model '{}' is left alone for {} s, because its last load or run failed: "
                      "{}",
                      answer.model,
                      std::chrono::ceil<Seconds>(schedule_.retry_after(answer.model, now)).count(),
                      why == last_failure_.end() ? "unknown reason" : why->second)};
    }
    default:
      break;
  }
  if (!loading_name_.empty())
    return {Code::kFailedPrecondition,
            fmt::format("no model is loaded: '{}' is still being loaded", loading_name_)};
  if (!last_death_.empty())
    return {Code::kFailedPrecondition,
            fmt::format("no model is loaded ({}); load one again", last_death_)};
  return {Code::kFailedPrecondition,
          "no model is loaded; load one first with POST /api/orchestrate/load"};
}

// ---- Requests ----

void Service::start_task(std::shared_ptr<EngineTask> const& task, std::string const& model,
                         std::optional<Seconds> keep_alive) {
  if (desk_.full()) {
    task->refuse(too_many());
    return;
  }
  Ticket const ticket = ++last_ticket_;
  task->set_ticket(ticket);
  desk_.take(ticket, task);
  apply(schedule_.use_requested(ticket, model, ServiceLoop::Clock::now(), keep_alive));
  // It may have been asked to stop before it was in hand.
  desk_.stop_asked(*task);
}

void Service::task_ended(std::shared_ptr<EngineTask> const& task) {
  desk_.ended(*task);
  apply(schedule_.use_ended(task->ticket(), task->succeeded(), ServiceLoop::Clock::now()));
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
  auto const current = engines_.find(schedule_.current());
  if (current == engines_.end()) {
    done(fail(why_not({0, Reply::kNothingLoaded, {}})));
    return;
  }
  auto const& info = current->second->info;
  ValidateOutcome outcome{
      .model_name = info.name, .device = info.device, .dtype = info.dtype, .error = {}};
  GenerateCallbacks callbacks;
  callbacks.on_done = [outcome, done](Result<GenerateStats> result) {
    ValidateOutcome filled = outcome;
    filled.healthy = result.has_value() && result->output_tokens > 0;
    if (!result) filled.error = result.error().message;
    if (result && !filled.healthy) filled.error = "the model generated nothing";
    done(std::move(filled));
  };
  GenerateRequest request;
  request.model = info.name;
  request.prompt = "Hello";
  request.max_tokens = 5;
  request.do_sample = false;
  {
    std::lock_guard const lock(published_mutex_);
    ++running_tasks_;
  }
  start_task(std::make_shared<Generation>(dependencies_.loops, host_, std::move(request),
                                          std::move(callbacks), Generation::LogRow()),
             info.name, std::nullopt);
}

}  // namespace homelab::engine
