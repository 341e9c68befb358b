#include "engine_task.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "external/openai_dialect.h"

namespace homelab::engine {
namespace {

constexpr std::chrono::hours kLongestSilence{1};

/// What an external engine answers is its sign of life.
http::LocalCallbacks counted(http::LocalCallbacks callbacks, std::shared_ptr<LoadedEngine> engine) {
  callbacks.on_data = [engine = std::move(engine),
                       on_data = std::move(callbacks.on_data)](std::string_view bytes) {
    engine->answered_bytes += bytes.size();
    if (on_data) on_data(bytes);
  };
  return callbacks;
}

}  // namespace

void EngineTask::start(std::shared_ptr<LoadedEngine> engine) {
  if (finished_) return;
  engine_ = std::move(engine);
  begun_at_ = Clock::now();
  engine_->active_requests.fetch_add(1);
  if (auto reason = stop_reason()) {
    finish(std::move(reason));
    return;
  }
  begin();
}

void EngineTask::stop(Error reason) {
  std::shared_ptr<http::LocalExchange> running;
  {
    std::lock_guard const lock(mutex_);
    if (stop_reason_) return;
    stop_reason_ = std::move(reason);
    running = exchange_;
  }
  if (running) {
    running->cancel();
  } else {
    host_->stop_asked(shared_from_this());
  }
}

std::optional<Error> EngineTask::stop_reason() const {
  std::lock_guard const lock(mutex_);
  return stop_reason_;
}

void EngineTask::exchange(http::LocalRequest request, http::LocalCallbacks callbacks) {
  request.socket_path = engine_->socket;
  // A long prompt on a slow machine, behind others, is silent for long: only an engine that hangs
  // is silent for this long.
  request.idle_timeout = kLongestSilence;
  // What comes from it shows that it does not hang.
  callbacks.on_data = [engine = engine_,
                       on_data = std::move(callbacks.on_data)](std::string_view bytes) {
    engine->heard.fetch_add(1);
    if (on_data) on_data(bytes);
  };
  unsigned number = 0;
  {
    std::lock_guard const lock(mutex_);
    number = ++exchanges_;
  }
  auto running = engine_->remote
                     ? start_remote(*engine_->remote, std::move(request),
                                    counted(std::move(callbacks), engine_))
                     : http::start_local(loops_, std::move(request), std::move(callbacks));
  bool stopped = false;
  {
    std::lock_guard const lock(mutex_);
    // Its callbacks hold this task: keeping it after the end would be a ring. They may also have
    // started the next exchange already, which must not be forgotten for this one.
    if (!finished_ && number == exchanges_) exchange_ = running;
    stopped = stop_reason_.has_value();
  }
  if (stopped) running->cancel();
}

void EngineTask::finish(std::optional<Error> error) {
  if (finished_.exchange(true)) return;
  succeeded_ = !error;
  std::shared_ptr<http::LocalExchange> done;
  {
    std::lock_guard const lock(mutex_);
    done.swap(exchange_);
  }
  if (engine_) engine_->active_requests.fetch_sub(1);
  deliver(std::move(error));
  host_->task_ended(shared_from_this());
}

double EngineTask::queue_wait_ms() const {
  return std::chrono::duration<double, std::milli>(begun_at_ - submitted_at_).count();
}

void EngineTask::broke(Error error) {
  if (auto reason = stop_reason()) {
    finish(std::move(reason));
    return;
  }
  host_->connection_broke(shared_from_this(), std::move(error));
}

namespace {
std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }
}  // namespace

bool is_run(std::string_view target) {
  constexpr std::array<std::string_view, 8> kRuns = {
      "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/rerank",
      "/v1/reranking",        "/v1/responses",   "/v1/messages",   "/completion"};
  return std::find(kRuns.begin(), kRuns.end(), path_of(target)) != kRuns.end();
}

void ForwardTask::record(RunLabel label, LogRow log_row) {
  if (!is_run(request_.target)) return;
  label_ = std::move(label);
  if (label_.endpoint.empty()) label_.endpoint = path_of(request_.target);
  log_row_ = std::move(log_row);
}

void ForwardTask::begin() {
  if (auto const& remote = engine()->remote)
    request_.body = with_model(request_.body, remote->model);
  auto const self = std::static_pointer_cast<ForwardTask>(shared_from_this());
  sent_at_ = std::chrono::steady_clock::now();
  pieces_.begin(sent_at_);
  http::LocalCallbacks callbacks;
  callbacks.on_head = [self](int status, http::Headers const& headers) {
    self->head(status, headers);
  };
  callbacks.on_data = [self](std::string_view bytes) { self->data(bytes); };
  callbacks.on_done = [self](Status status) {
    if (status) {
      self->finish(std::nullopt);
    } else {
      self->broke(std::move(status).error());
    }
  };
  exchange(std::move(request_), std::move(callbacks));
}

void ForwardTask::head(int status, http::Headers const& headers) {
  status_ = status;
  streams_ = headers.find("content-type").value_or("").starts_with("text/event-stream");
  if (callbacks_.on_head) callbacks_.on_head(status, headers);
}

void ForwardTask::data(std::string_view bytes) {
  if (callbacks_.on_data) callbacks_.on_data(bytes);
  if (!log_row_) return;
  // A whole answer comes when it is complete: that says nothing about its first token.
  if (streams_ && has_event_data(bytes)) pieces_.piece(std::chrono::steady_clock::now());
  ends_.add(bytes);
}

void ForwardTask::log_run(std::optional<Error> const& error) {
  using Ms = std::chrono::duration<double, std::milli>;
  RunRecord record;
  record.label = &label_;
  record.total_ms = Ms(std::chrono::steady_clock::now() - sent_at_).count();
  record.queue_wait_ms = queue_wait_ms();
  record.ttft_ms = pieces_.first_ms();
  record.gaps = &pieces_.gaps();
  record.report = ends_.report();
  record.error = error;
  if (!error && (status_ >= 400 || streams_)) {
    // What the engine refused, or said in the middle of its stream.
    auto said = ends_.error();
    if (!said && status_ >= 400)
      said = "the engine answered with status " + std::to_string(status_);
    if (said)
      record.error =
          Error{status_ >= 400 && status_ < 500 ? Code::kInvalidArgument : Code::kInternal,
                *std::move(said)};
  }
  log_row_(performance_row(*engine(), record));
}

void ForwardTask::deliver(std::optional<Error> error) {
  // A request that never reached an engine says nothing about the model.
  if (log_row_ && engine()) log_run(error);
  http::LocalCallbacks const callbacks = std::exchange(callbacks_, {});
  log_row_ = {};
  if (!callbacks.on_done) return;
  if (error) {
    callbacks.on_done(fail(std::move(*error)));
  } else {
    callbacks.on_done({});
  }
}

}  // namespace homelab::engine
