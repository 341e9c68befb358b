// Generation: one answer, or an event stream (contract §2.6).
#include <atomic>

#include "cancel_handle.h"
#include "dialects.h"
#include "generation_fields.h"
#include "json_text.h"
#include "late_stream.h"
#include "quiet_watch.h"
#include "replies.h"
#include "retry_after.h"
#include "stream_words.h"
#include "validation.h"

namespace homelab::api {
namespace {

using engine::GenerateCallbacks;
using engine::GenerateRequest;
using engine::GenerateStats;
using http::Pending;
using http::PendingReply;
using http::Reply;
using http::Request;

constexpr std::size_t kBodyLimitBytes = 16U << 20U;

tl::expected<GenerateRequest, http::Response> read_request(Services const& services,
                                                           Request const& request) {
  BodyReader body(request);
  GenerateRequest out = read_generation(body);
  if (auto rejection = body.rejection())
    return tl::unexpected<http::Response>(*std::move(rejection));
  if (!out.model.empty()) {
    auto const model = services.registry.find(out.model);
    if (!model) return tl::unexpected<http::Response>(error_reply(model.error()));
    out.model = model->model_name;
  }
  return out;
}

void add_counts(json::object& out, GenerateStats const& stats) {
  out["input_tokens"] = stats.input_tokens;
  out["output_tokens"] = stats.output_tokens;
  out["total_tokens"] = stats.input_tokens + stats.output_tokens;
  out["inference_time_ms"] = stats.inference_ms;
}

http::Response refusal(Services const& services, std::string const& model, Error const& error) {
  auto reply = error_reply(error, Doing::kGenerate);
  say_when_to_come_back(reply, error, services.engines, model);
  return reply;
}

/// What one answer needs until its generation ends.
struct OneShot {
  SharedServices services;
  std::string model;
  std::shared_ptr<Pending> pending;
  std::string text;
  CancelHandle work;
};

void finish(OneShot& shot, Result<GenerateStats> const& stats) {
  shot.work.release();
  if (!stats) return shot.pending->complete(refusal(*shot.services, shot.model, stats.error()));
  json::object out{{"generated_text", shot.text}};
  add_counts(out, *stats);
  out["tokens_per_second"] = stats->tokens_per_second();
  shot.pending->complete(json_reply(200, out));
}

Reply generate(SharedServices const& services, Request const& request) {
  auto wanted = read_request(*services, request);
  if (!wanted) return std::move(wanted).error();
  return PendingReply{[services, wanted = *std::move(wanted)](std::shared_ptr<Pending> pending) {
    auto const shot = std::make_shared<OneShot>();
    shot->services = services;
    shot->model = wanted.model;
    shot->pending = std::move(pending);
    shot->text = wanted.prompt;  // the contract's answer begins with it
    shot->pending->on_client_gone([weak = std::weak_ptr(shot)] {
      if (auto const alive = weak.lock()) alive->work.cancel();
    });
    GenerateCallbacks callbacks;
    callbacks.on_text = [shot](std::string_view text) { shot->text += text; };
    callbacks.on_done = [shot](Result<GenerateStats> const& stats) { finish(*shot, stats); };
    shot->work.hold(services->engines.generate(wanted, std::move(callbacks)));
  }};
}

/// One event: a single "data: " line. Everything outside ASCII is escaped, so no line break can
/// slip in.
std::string event(json::object const& object) {
  return "data: " + to_ascii_json_text(object) + "\n\n";
}

/// Turns the events of a generation into an answer: the head is decided by the first of them, or by
/// the first sign of life when they let wait for them.
class EventStream : public std::enable_shared_from_this<EventStream> {
 public:
  EventStream(std::shared_ptr<Pending> pending, SharedServices services)
      : pending_(std::move(pending)),
        services_(std::move(services)),
        work_(std::make_shared<CancelHandle>()) {
    stream_ = std::make_shared<LateStream>([work = work_] { work->cancel(); });
  }

  void run(GenerateRequest const& request) {
    pending_->on_client_gone([work = work_] { work->cancel(); });
    model_ = request.model;
    GenerateCallbacks callbacks;
    auto const self = shared_from_this();
    quiet_ = std::make_shared<QuietWatch>(services_->timers, ping_interval(services_->settings),
                                          [weak = weak_from_this()] {
                                            if (auto const alive = weak.lock()) alive->ping();
                                          });
    quiet_->start();
    callbacks.on_start = [self](std::int64_t input_tokens) {
      self->say(event({{"type", "start"}, {"input_tokens", input_tokens}}));
    };
    callbacks.on_text = [self](std::string_view text) {
      self->say(event({{"type", "token"}, {"text", text}}));
    };
    callbacks.on_done = [self](Result<GenerateStats> const& stats) { self->finish(stats); };
    work_->hold(services_->engines.generate(request, std::move(callbacks)));
  }

 private:
  void begin() {
    if (!begun_.exchange(true)) pending_->complete(stream_->events_reply());
  }

  void say(std::string text) {
    quiet_->heard();
    begin();
    stream_->write(std::move(text));
  }

  void ping() {
    begin();
    stream_->write_between(std::string(kPingComment));
  }

  void finish(Result<GenerateStats> const& stats) {
    work_->release();
    quiet_->stop();
    if (!stats) {
      auto reply = refusal(*services_, model_, stats.error());
      if (reply.status == 503 && !begun_.exchange(true))
        return pending_->complete(std::move(reply));
    }
    say(stats ? done_event(*stats) : event({{"type", "error"}, {"error", stats.error().message}}));
    stream_->close(true);
  }

  static std::string done_event(GenerateStats const& stats) {
    json::object out{{"type", "done"}};
    add_counts(out, stats);
    out["ttft_ms"] = value_or_null(stats.ttft_ms);
    out["tokens_per_second"] = stats.tokens_per_second();
    return event(out);
  }

  std::shared_ptr<Pending> pending_;
  SharedServices const services_;
  std::string model_;
  std::shared_ptr<CancelHandle> work_;
  std::shared_ptr<LateStream> stream_;
  std::shared_ptr<QuietWatch> quiet_;
  std::atomic<bool> begun_{false};  ///< the answer's head is decided
};

Reply generate_stream(SharedServices const& services, Request const& request) {
  auto wanted = read_request(*services, request);
  if (!wanted) return std::move(wanted).error();
  return PendingReply{[services, wanted = *std::move(wanted)](std::shared_ptr<Pending> pending) {
    std::make_shared<EventStream>(std::move(pending), services)->run(wanted);
  }};
}

}  // namespace

void add_generation_routes(http::Router& router, SharedServices const& services) {
  router.add(
      "POST", "/api/generate",
      [services](Request const& request) { return generate(services, request); }, kBodyLimitBytes);
  router.add(
      "POST", "/api/generate/stream",
      [services](Request const& request) { return generate_stream(services, request); },
      kBodyLimitBytes);
}

}  // namespace homelab::api
