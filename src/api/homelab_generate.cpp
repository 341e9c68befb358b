// Generation: one answer, or an event stream (contract §2.6).
#include "cancel_handle.h"
#include "dialects.h"
#include "json_text.h"
#include "late_stream.h"
#include "replies.h"
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
  GenerateRequest out;
  out.prompt = body.text("prompt");
  out.max_tokens = static_cast<int>(
      body.integer_or("max_tokens", out.max_tokens, {.low = 1, .high = 4096, .integer = true}));
  out.temperature = body.number_or("temperature", out.temperature, {.low = 0, .high = 2});
  out.top_p = body.number_or("top_p", out.top_p, {.low = 0, .high = 1});
  out.do_sample = body.boolean_or("do_sample", out.do_sample);
  out.model = body.optional_text("model").value_or("");  // ours: another model than the loaded one
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

/// What one answer needs until its generation ends.
struct OneShot {
  std::shared_ptr<Pending> pending;
  std::string text;
  CancelHandle work;
};

void finish(OneShot& shot, Result<GenerateStats> const& stats) {
  shot.work.release();
  if (!stats) return shot.pending->complete(error_reply(stats.error(), Doing::kGenerate));
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

/// Turns the events of a generation into an answer: the head is decided by the first of them.
class EventStream : public std::enable_shared_from_this<EventStream> {
 public:
  explicit EventStream(std::shared_ptr<Pending> pending)
      : pending_(std::move(pending)), work_(std::make_shared<CancelHandle>()) {
    stream_ = std::make_shared<LateStream>([work = work_] { work->cancel(); });
  }

  void run(engine::EngineService& engines, GenerateRequest const& request) {
    pending_->on_client_gone([work = work_] { work->cancel(); });
    GenerateCallbacks callbacks;
    auto const self = shared_from_this();
    callbacks.on_start = [self](std::int64_t input_tokens) { self->start(input_tokens); };
    callbacks.on_text = [self](std::string_view text) {
      self->stream_->write(event({{"type", "token"}, {"text", text}}));
    };
    callbacks.on_done = [self](Result<GenerateStats> const& stats) { self->finish(stats); };
    work_->hold(engines.generate(request, std::move(callbacks)));
  }

 private:
  void begin() {
    if (begun_) return;
    begun_ = true;
    pending_->complete(stream_->events_reply());
  }

  void start(std::int64_t input_tokens) {
    begin();
    stream_->write(event({{"type", "start"}, {"input_tokens", input_tokens}}));
  }

  void finish(Result<GenerateStats> const& stats) {
    work_->release();
    bool const no_model = !stats && http_status(stats.error().code, Doing::kGenerate) == 503;
    if (!begun_ && no_model)
      return pending_->complete(error_reply(stats.error(), Doing::kGenerate));
    begin();
    stream_->write(stats ? done_event(*stats)
                         : event({{"type", "error"}, {"error", stats.error().message}}));
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
  std::shared_ptr<CancelHandle> work_;
  std::shared_ptr<LateStream> stream_;
  bool begun_ = false;  // only touched by the events, which come one after the other
};

Reply generate_stream(SharedServices const& services, Request const& request) {
  auto wanted = read_request(*services, request);
  if (!wanted) return std::move(wanted).error();
  return PendingReply{[services, wanted = *std::move(wanted)](std::shared_ptr<Pending> pending) {
    std::make_shared<EventStream>(std::move(pending))->run(services->engines, wanted);
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
