#include "generation.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "completion.h"
#include "external/openai_dialect.h"
#include "performance.h"

namespace homelab::engine {
namespace {

constexpr std::size_t kBodyLimitBytes = 64 << 20;  ///< ids of a prompt as long as the API accepts
constexpr std::size_t kTextLimitBytes = 1 << 20;   ///< looked at for repetition

http::LocalRequest post(std::string target, std::string body) {
  http::LocalRequest request;
  request.method = "POST";
  request.target = std::move(target);
  request.headers.set("Content-Type", "application/json");
  request.body = std::move(body);
  return request;
}

}  // namespace

Generation::Generation(http::IoLoops& loops, std::shared_ptr<TaskHost> host,
                       GenerateRequest request, GenerateCallbacks callbacks, LogRow log_row)
    : EngineTask(loops, std::move(host)),
      request_(std::move(request)),
      callbacks_(std::move(callbacks)),
      log_row_(std::move(log_row)) {}

void Generation::begin() {
  // The wait for the model and for its turn says nothing about the model's speed.
  started_at_ = Clock::now();
  pieces_.begin(started_at_);
  // The tokenizer of an external engine is out of reach; its answer counts the prompt.
  if (auto const& remote = engine()->remote)
    return stream(post("/v1/completions", openai_completion_body(request_, remote->model)));
  auto const self = std::static_pointer_cast<Generation>(shared_from_this());
  http::LocalCallbacks callbacks;
  callbacks.on_head = [self](int status, http::Headers const&) { self->status_ = status; };
  callbacks.on_data = [self](std::string_view bytes) {
    if (self->body_.size() + bytes.size() > kBodyLimitBytes) {
      self->stop({Code::kResourceExhausted, "the engine's answer to /tokenize is too long"});
    } else {
      self->body_ += bytes;
    }
  };
  callbacks.on_done = [self](Status const& status) { self->on_tokenized(status); };
  exchange(post("/tokenize", tokenize_body(request_.prompt)), std::move(callbacks));
}

void Generation::on_tokenized(Status const& status) {
  if (!status) {
    broke(status.error());
    return;
  }
  if (status_ != 200) {
    finish(engine_error(status_, body_));
    return;
  }
  auto tokens = parse_tokens(body_);
  if (!tokens) {
    finish(std::move(tokens).error());
    return;
  }
  if (tokens->empty()) {
    finish(Error{
        Code::kInvalidArgument,
        "the prompt is empty and this model has no start token: give at least one character"});
    return;
  }
  body_ = {};
  stats_.input_tokens = static_cast<std::int64_t>(tokens->size());
  if (callbacks_.on_start) callbacks_.on_start(stats_.input_tokens);
  complete(std::move(*tokens));
}

void Generation::complete(json::array tokens) {
  if (auto reason = stop_reason()) {
    finish(std::move(reason));
    return;
  }
  stream(post("/completion", completion_body(std::move(tokens), request_)));
}

void Generation::stream(http::LocalRequest request) {
  auto const self = std::static_pointer_cast<Generation>(shared_from_this());
  http::LocalCallbacks callbacks;
  callbacks.on_head = [self](int status, http::Headers const&) { self->on_head(status); };
  callbacks.on_data = [self](std::string_view bytes) { self->on_completion_data(bytes); };
  callbacks.on_done = [self](Status const& status) { self->on_completed(status); };
  exchange(std::move(request), std::move(callbacks));
}

void Generation::on_head(int status) {
  status_ = status;
  if (engine()->remote && status == 200 && callbacks_.on_start) callbacks_.on_start(0);
}

void Generation::on_completion_data(std::string_view bytes) {
  if (status_ != 200) {
    if (body_.size() + bytes.size() <= kBodyLimitBytes) body_ += bytes;
    return;
  }
  if (error_) return;
  std::vector<http::SseEvent> events;
  auto const fed = events_.feed(bytes, events);
  for (auto const& event : events) on_event(event.data);
  if (!fed && !error_) error_ = fed.error();
  if (error_) stop(*error_);
}

void Generation::on_event(std::string_view data) {
  if (error_ || complete_) return;
  if (engine()->remote) return on_external_event(data);
  auto chunk = parse_chunk(data);
  if (!chunk) {
    error_ = std::move(chunk).error();
    return;
  }
  if (!chunk->text.empty()) take_text(chunk->text);
  if (chunk->last) {
    complete_ = true;
    stats_.output_tokens = chunk->output_tokens;
    report_ = chunk->report;
  } else {
    stats_.output_tokens = std::max(stats_.output_tokens, chunk->output_tokens);
  }
}

void Generation::on_external_event(std::string_view data) {
  auto parsed = parse_openai_chunk(data);
  if (!parsed) {
    error_ = std::move(parsed).error();
    return;
  }
  auto const& chunk = parsed->chunk;
  over_ = over_ || parsed->over;
  complete_ = chunk.last;
  if (!chunk.text.empty()) {
    take_text(chunk.text);
    ++stats_.output_tokens;
  }
  if (chunk.input_tokens > 0) stats_.input_tokens = chunk.input_tokens;
  // The server's own count, where there is one; it is that of the whole answer.
  if (chunk.output_tokens > 0) stats_.output_tokens = chunk.output_tokens;
}

void Generation::take_text(std::string_view text) {
  pieces_.piece(Clock::now());
  stats_.ttft_ms = pieces_.first_ms();
  if (log_row_ && text_.size() + text.size() <= kTextLimitBytes) text_ += text;
  if (callbacks_.on_text) callbacks_.on_text(text);
}

void Generation::on_completed(Status const& status) {
  if (error_) {
    finish(error_);
  } else if (complete_ || (over_ && status)) {
    // Everything is here; how the connection closes after that does not matter.
    finish(std::nullopt);
  } else if (!status) {
    broke(status.error());
  } else if (status_ != 200) {
    finish(engine_error(status_, body_));
  } else {
    broke({Code::kDataLoss, "the engine's stream ended before its last event"});
  }
}

double Generation::elapsed_ms() const {
  return std::chrono::duration<double, std::milli>(Clock::now() - started_at_).count();
}

void Generation::deliver(std::optional<Error> error) {
  stats_.inference_ms = elapsed_ms();
  // A request that never reached an engine says nothing about the model.
  if (log_row_ && engine()) {
    RunRecord record;
    record.queue_wait_ms = queue_wait_ms();
    record.gaps = &pieces_.gaps();
    record.report = report_;
    record.error = error;
    log_row_(generation_row(*engine(), std::move(record), {request_, stats_, text_}));
  }
  GenerateCallbacks const callbacks = std::exchange(callbacks_, {});
  if (!callbacks.on_done) return;
  if (error) {
    callbacks.on_done(fail(std::move(*error)));
  } else {
    callbacks.on_done(stats_);
  }
}

}  // namespace homelab::engine
