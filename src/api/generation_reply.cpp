#include "generation_reply.h"

#include <atomic>

#include "cancel_handle.h"
#include "http/local_client.h"
#include "json_text.h"
#include "late_stream.h"
#include "quiet_watch.h"
#include "replies.h"
#include "request_book.h"
#include "retry_after.h"
#include "stream_words.h"

namespace homelab::api {
namespace {

using engine::GenerateCallbacks;
using engine::GenerateStats;
using http::Pending;

constexpr std::size_t kPromptLimitBytes = 64U << 20U;

void add_counts(json::object& out, GenerateStats const& stats) {
  out["input_tokens"] = stats.input_tokens;
  out["output_tokens"] = stats.output_tokens;
  out["total_tokens"] = stats.input_tokens + stats.output_tokens;
  out["inference_time_ms"] = stats.inference_ms;
}

/// What the engine's template says about messages that it cannot use.
std::string reason_of(std::string const& body) {
  auto const value = parse_json(body);
  auto const* object = value ? value->if_object() : nullptr;
  auto const* error = object == nullptr ? nullptr : get_object(*object, "error");
  auto const message = error == nullptr ? std::nullopt : get_string(*error, "message");
  return message.value_or(
      "this model's engine applies no chat template; POST "
      "/v1/chat/completions may still work");
}

/// One generation with the answer that it gets; the two forms of an answer are its heirs.
class Answer : public std::enable_shared_from_this<Answer> {
 public:
  Answer(std::shared_ptr<Pending> pending, SharedServices services, WantedGeneration wanted)
      : services_(std::move(services)), wanted_(std::move(wanted)), pending_(std::move(pending)) {}
  virtual ~Answer() = default;
  Answer(Answer const&) = delete;
  Answer& operator=(Answer const&) = delete;

  void run(http::Request const& request) {
    place_ = services_->requests->enter(request, wanted_.request.model, canceller());
    wanted_.request.label.request_id = place_->id();
    pending_ = with_request_id(pending_, place_->id());
    pending_->on_client_gone(canceller());
    begin();
    if (wanted_.messages.empty()) {
      generate();
    } else {
      apply_template();
    }
  }

 protected:
  virtual void begin() {}
  virtual void on_start(std::int64_t input_tokens) = 0;
  virtual void on_text(std::string_view text) = 0;
  /// The last call: how it ended.
  virtual void on_done(Result<GenerateStats> const& stats) = 0;
  /// The last call: it did not come to a generation.
  virtual void on_refused(http::Response refusal, std::string const& reason) = 0;

  [[nodiscard]] std::function<void()> canceller() const {
    return [first = template_work_, work = work_] {
      first->cancel();
      work->cancel();
    };
  }
  [[nodiscard]] http::Response refusal(Error const& error) const {
    auto reply = error_reply(error, Doing::kGenerate);
    say_when_to_come_back(reply, error, services_->engines, wanted_.request.model);
    return reply;
  }
  [[nodiscard]] WantedGeneration const& wanted() const { return wanted_; }
  [[nodiscard]] Services const& services() const { return *services_; }
  [[nodiscard]] Pending& pending() const { return *pending_; }

 private:
  void generate() {
    GenerateCallbacks callbacks;
    auto const self = shared_from_this();
    callbacks.on_start = [self](std::int64_t input_tokens) {
      self->place_->heard();
      self->on_start(input_tokens);
    };
    callbacks.on_text = [self](std::string_view text) { self->on_text(text); };
    callbacks.on_done = [self](Result<GenerateStats> const& stats) {
      self->work_->release();
      self->place_->leave();  // who has the answer does not find the request any more
      self->on_done(stats);
    };
    work_->hold(services_->engines.generate(wanted_.request, std::move(callbacks)));
  }

  void apply_template() {
    json::object body{{"messages", wanted_.messages}};
    if (!wanted_.template_options.empty()) body["chat_template_kwargs"] = wanted_.template_options;
    engine::ForwardRequest request{.model = wanted_.request.model,
                                   .method = "POST",
                                   .target = "/apply-template",
                                   .body = json::serialize(body)};
    http::LocalCallbacks callbacks;
    auto const self = shared_from_this();
    callbacks.on_head = [self](int status, http::Headers const&) {
      self->template_status_ = status;
    };
    callbacks.on_data = [self](std::string_view bytes) {
      if (self->template_answer_.size() + bytes.size() <= kPromptLimitBytes)
        self->template_answer_ += bytes;
    };
    callbacks.on_done = [self](Status const& status) { self->template_applied(status); };
    template_work_->hold(services_->engines.forward(std::move(request), std::move(callbacks)));
  }

  void template_applied(Status const& status) {
    template_work_->release();
    if (!status) return end(refusal(status.error()), status.error().message);
    auto const value = parse_json(template_answer_);
    auto const* object = value ? value->if_object() : nullptr;
    auto prompt = object == nullptr ? std::nullopt : get_string(*object, "prompt");
    if (template_status_ != 200 || !prompt) {
      auto const reason = reason_of(template_answer_);
      return end(detail_reply(400, reason), reason);
    }
    template_answer_ = {};
    wanted_.request.prompt = *std::move(prompt);
    generate();
  }

  void end(http::Response refusal, std::string const& reason) {
    place_->leave();
    on_refused(std::move(refusal), reason);
  }

  SharedServices const services_;
  WantedGeneration wanted_;
  std::shared_ptr<Pending> pending_;
  std::shared_ptr<RequestBook::Place> place_;
  /// Two, because the first work may end before it is held.
  std::shared_ptr<CancelHandle> const template_work_ = std::make_shared<CancelHandle>();
  std::shared_ptr<CancelHandle> const work_ = std::make_shared<CancelHandle>();
  int template_status_ = 0;
  std::string template_answer_;
};

class WholeAnswer final : public Answer {
 public:
  using Answer::Answer;

 private:
  void on_start(std::int64_t) override {}
  void on_text(std::string_view text) override { text_ += text; }
  void on_done(Result<GenerateStats> const& stats) override {
    if (!stats) return pending().complete(refusal(stats.error()));
    json::object out;
    if (wanted().messages.empty()) {
      // The contract's answer begins with the prompt.
      out["generated_text"] = wanted().request.prompt + text_;
    } else {
      out["message"] = {{"role", "assistant"}, {"content", text_}};
      out["generated_text"] = text_;
    }
    add_counts(out, *stats);
    out["tokens_per_second"] = stats->tokens_per_second();
    pending().complete(json_reply(200, out));
  }
  void on_refused(http::Response refusal, std::string const&) override {
    pending().complete(std::move(refusal));
  }

  std::string text_;
};

/// One event: a single "data: " line. Everything outside ASCII is escaped, so no line break can
/// slip in.
std::string event(json::object const& object) {
  return "data: " + to_ascii_json_text(object) + "\n\n";
}

/// Turns the events of a generation into an answer: the head is decided by the first of them, or by
/// the first sign of life when they let wait for them.
class EventAnswer final : public Answer {
 public:
  using Answer::Answer;

 private:
  void begin() override {
    stream_ = std::make_shared<LateStream>(canceller());
    auto const weak = std::weak_ptr(std::static_pointer_cast<EventAnswer>(shared_from_this()));
    quiet_ =
        std::make_shared<QuietWatch>(services().timers, ping_interval(services().settings), [weak] {
          if (auto const alive = weak.lock()) alive->ping();
        });
    quiet_->start();
  }

  void decide_head() {
    if (!begun_.exchange(true)) pending().complete(stream_->events_reply());
  }

  void say(std::string text) {
    quiet_->heard();
    decide_head();
    stream_->write(std::move(text));
  }

  void ping() {
    decide_head();
    stream_->write_between(std::string(kPingComment));
  }

  void on_start(std::int64_t input_tokens) override {
    say(event({{"type", "start"}, {"input_tokens", input_tokens}}));
  }
  void on_text(std::string_view text) override { say(event({{"type", "token"}, {"text", text}})); }

  void on_done(Result<GenerateStats> const& stats) override {
    if (stats) return end_with(done_event(*stats));
    auto reply = refusal(stats.error());
    if (reply.status == 503) return on_refused(std::move(reply), stats.error().message);
    end_with(event({{"type", "error"}, {"error", stats.error().message}}));
  }

  void on_refused(http::Response refusal, std::string const& reason) override {
    if (begun_.exchange(true)) return end_with(event({{"type", "error"}, {"error", reason}}));
    quiet_->stop();
    pending().complete(std::move(refusal));
  }

  void end_with(std::string last) {
    quiet_->stop();
    say(std::move(last));
    stream_->close(true);
  }

  static std::string done_event(GenerateStats const& stats) {
    json::object out{{"type", "done"}};
    add_counts(out, stats);
    out["ttft_ms"] = value_or_null(stats.ttft_ms);
    out["tokens_per_second"] = stats.tokens_per_second();
    return event(out);
  }

  std::shared_ptr<LateStream> stream_;
  std::shared_ptr<QuietWatch> quiet_;
  std::atomic<bool> begun_{false};  ///< the answer's head is decided
};

}  // namespace

http::Reply generation_reply(SharedServices const& services, http::Request const& request,
                             WantedGeneration wanted) {
  // Of the request only what the book looks at: the body may be large.
  http::Request head;
  head.path = request.path;
  head.headers = request.headers;
  return http::PendingReply{[services, head = std::move(head),
                             wanted = std::move(wanted)](std::shared_ptr<Pending> pending) {
    std::shared_ptr<Answer> answer;
    if (wanted.events)
      answer = std::make_shared<EventAnswer>(std::move(pending), services, wanted);
    else
      answer = std::make_shared<WholeAnswer>(std::move(pending), services, wanted);
    answer->run(head);
  }};
}

}  // namespace homelab::api
