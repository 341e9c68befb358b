// OpenAI's dialect: the engine speaks it, so bodies and streams pass through unchanged.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

#include "base/strings.h"
#include "cancel_handle.h"
#include "dialects.h"
#include "duration.h"
#include "http/local_client.h"
#include "json_text.h"
#include "late_stream.h"
#include "model_entry.h"
#include "model_name.h"
#include "quiet_watch.h"
#include "replies.h"
#include "request_book.h"
#include "retry_after.h"
#include "run_label.h"
#include "stream_words.h"

namespace homelab::api {
namespace {

using http::Pending;
using http::PendingReply;
using http::Reply;
using http::Request;
using http::Response;

constexpr std::size_t kBodyLimitBytes = 64U << 20U;    // prompts may carry images
constexpr std::size_t kAnswerLimitBytes = 64U << 20U;  // of an answer that is not streamed

/// What OpenAI's clients make an exception of.
struct Problem {
  int status = 500;
  std::string message;
  std::string type = "server_error";
  json::value param = nullptr;
  json::value code = nullptr;
};

json::object problem_json(Problem const& problem) {
  return {{"error",
           {{"message", problem.message},
            {"type", problem.type},
            {"param", problem.param},
            {"code", problem.code}}}};
}

Response problem_reply(Problem const& problem) {
  return json_reply(problem.status, problem_json(problem));
}

Problem no_model_loaded() {
  return {503,
          "No model is loaded. Name a registered model in \"model\", or load one with POST "
          "/api/orchestrate/load {\"model_name\": \"...\"}",
          "server_error", nullptr, "model_not_loaded"};
}

Problem unknown_model(std::string const& name) {
  return {404,
          fmt::format("The model '{}' is not registered here; GET /v1/models lists what is, POST "
                      "/api/models registers it",
                      name),
          "invalid_request_error", "model", "model_not_found"};
}

/// What the engine's core said instead of a stream.
Problem core_problem(int status, std::string_view body) {
  auto const parsed = parse_json(body);
  auto const* object = parsed ? parsed->if_object() : nullptr;
  auto const* error = object == nullptr ? nullptr : get_object(*object, "error");
  if (error == nullptr) return {502, "The engine answered a request for a stream without one"};
  return {status, get_string(*error, "message").value_or("no reason given"),
          get_string(*error, "type").value_or("server_error")};
}

/// A request with the answer that it gets.
struct Wanted {
  engine::ForwardRequest request;
  Request head = {};  ///< of the client's request, what the request book looks at
  /// Silence after which its stream gets a sign of life; 0 = never, or it asks for no stream.
  std::chrono::milliseconds ping_interval{0};
};

/// One request on its way through the engine: head first, then bytes as they come. A stream whose
/// engine is silent for too long begins before the engine's head: what it refuses after that comes
/// as an event.
class Forwarded : public std::enable_shared_from_this<Forwarded> {
 public:
  Forwarded(std::shared_ptr<Pending> pending, SharedServices services, Wanted const& wanted)
      : pending_(std::move(pending)),
        services_(std::move(services)),
        model_(wanted.request.model),
        words_(wanted.request.target),
        work_(std::make_shared<CancelHandle>()) {
    stream_ = std::make_shared<LateStream>([work = work_] { work->cancel(); });
  }

  /// The engine service loads what is named, if need be, and waits for its turn.
  void run(Wanted wanted) {
    place_ = services_->requests->enter(wanted.head, model_, [work = work_] { work->cancel(); });
    wanted.request.label.request_id = place_->id();
    pending_ = with_request_id(pending_, place_->id());
    pending_->on_client_gone([work = work_] { work->cancel(); });
    auto const self = shared_from_this();
    quiet_ = std::make_shared<QuietWatch>(services_->timers, wanted.ping_interval,
                                          [weak = weak_from_this()] {
                                            if (auto const alive = weak.lock()) alive->ping();
                                          });
    quiet_->start();
    http::LocalCallbacks callbacks;
    callbacks.on_head = [self](int status, http::Headers const& headers) {
      self->head(status, headers);
    };
    callbacks.on_data = [self](std::string_view bytes) { self->data(bytes); };
    callbacks.on_done = [self](Status const& status) { self->done(status); };
    work_->hold(services_->engines.forward(std::move(wanted.request), std::move(callbacks)));
  }

 private:
  void ping() {
    if (!begun_.exchange(true)) begin_stream(200, "text/event-stream");
    stream_->write_between(words_.ping());
  }

  void begin_stream(int status, std::string const& content_type) {
    http::StreamReply reply;
    reply.status = status;
    reply.headers.set("content-type", content_type);
    reply.headers.set("cache-control", "no-cache");
    reply.headers.set("x-accel-buffering", "no");
    reply.start = stream_->starter();
    pending_->complete(std::move(reply));
  }

  void head(int status, http::Headers const& headers) {
    quiet_->heard();
    place_->heard();
    status_ = status;
    content_type_ = headers.find("content-type").value_or("application/json");
    streaming_ = content_type_.starts_with("text/event-stream");
    if (streaming_ && !begun_.exchange(true)) begin_stream(status, content_type_);
  }

  void data(std::string_view bytes) {
    quiet_->heard();
    if (streaming_) return stream_->write(std::string(bytes));
    if (body_.size() + bytes.size() <= kAnswerLimitBytes) {
      body_ += bytes;
    } else if (!too_long_) {
      too_long_ = true;
      work_->cancel();
    }
  }

  void done(Status const& status) {
    work_->release();
    place_->leave();
    quiet_->stop();
    if (streaming_)
      return end_stream(status ? std::nullopt : std::optional(failure(status.error())));
    if (too_long_)
      return answer({502, "The engine's answer is longer than 64 MiB; ask for a stream"});
    if (!status) return refuse(status.error());
    if (begun_.exchange(true)) return end_stream(core_problem(status_, body_));
    pending_->complete(text_reply(status_, std::move(body_), content_type_));
  }

  /// The head has gone out as 200: an error event is what clients raise from there. The engine may
  /// have stopped in the middle of an event.
  void end_stream(std::optional<Problem> const& problem) {
    if (problem) stream_->write("\n\n" + words_.failure(problem->status, problem_json(*problem)));
    stream_->close(true);
  }

  void answer(Problem const& problem) {
    if (begun_.exchange(true)) return end_stream(problem);
    pending_->complete(problem_reply(problem));
  }

  void refuse(Error const& error) {
    auto const problem = failure(error);
    if (begun_.exchange(true)) return end_stream(problem);
    auto reply = problem_reply(problem);
    say_when_to_come_back(reply, error, services_->engines, model_);
    pending_->complete(std::move(reply));
  }

  [[nodiscard]] Problem failure(Error const& error) const {
    if (error.code != Code::kFailedPrecondition)
      return {http_status(error.code, Doing::kGenerate), error.message};
    // With a name it is a model marked incompatible: the caller's affair (its clients try a 5xx
    // again, each time with a load).
    if (model_.empty()) return no_model_loaded();
    return {400, error.message, "invalid_request_error", "model", "model_not_loadable"};
  }

  std::shared_ptr<Pending> pending_;
  SharedServices const services_;
  std::string const model_;
  StreamWords const words_;
  std::shared_ptr<CancelHandle> work_;
  std::shared_ptr<RequestBook::Place> place_;
  std::shared_ptr<LateStream> stream_;
  std::shared_ptr<QuietWatch> quiet_;
  std::atomic<bool> begun_{false};  ///< the answer's head is decided
  // Only touched by the engine's callbacks, which come one after the other.
  int status_ = 0;
  bool streaming_ = false;
  bool too_long_ = false;
  std::string content_type_;
  std::string body_;
};

Reply list_models(Services const& services) {
  auto const models = model_list(services);
  return models ? json_reply(200, *models) : problem_reply({500, models.error().message});
}

Reply show_model(Services const& services, Request const& request) {
  std::string const name =
      percent_decode(request.path_value("model")).value_or(request.path_value("model"));
  auto const model = services.registry.find(name);
  if (model) return json_reply(200, model_entry(*model, ModelStates(services.engines)));
  if (model.error().code == Code::kNotFound) return problem_reply(unknown_model(name));
  return problem_reply({500, model.error().message});
}

Reply refuse_field(Error const& error, std::string_view field) {
  return problem_reply({400, error.message, "invalid_request_error", json::value(field)});
}

/// How often a request wants a sign of life. The core has a field of its own for it, in seconds.
std::chrono::milliseconds wanted_interval(Services const& services, std::string_view target,
                                          json::object const& fields) {
  if (!StreamWords(target).streams() || !get_bool(fields, "stream").value_or(false))
    return std::chrono::milliseconds(0);
  auto const configured = ping_interval(services.settings);
  auto const wanted = get_int(fields, "sse_ping_interval");
  if (!wanted) return configured;
  constexpr std::int64_t kLongestSeconds = 3600;
  return std::chrono::seconds(std::clamp<std::int64_t>(*wanted, 0, kLongestSeconds));
}

Reply forward(SharedServices const& services, Request const& request) {
  auto const body = parse_json(request.body);
  json::object const* const fields = body ? body->if_object() : nullptr;
  if (!fields)
    return problem_reply({400, body ? "The body must be a JSON object" : body.error().message,
                          "invalid_request_error"});
  engine::ForwardRequest wanted{.method = "POST", .target = request.path, .body = request.body};
  wanted.label = run_label(request, *fields);
  auto const silence = wanted_interval(*services, request.path, *fields);
  auto const keep_alive = read_keep_alive(*fields);
  if (!keep_alive) return refuse_field(keep_alive.error(), "keep_alive");
  wanted.keep_alive = *keep_alive;
  if (json::value const* const named = fields->if_contains("model"); named && !named->is_null()) {
    if (!named->is_string())
      return refuse_field({Code::kInvalidArgument, "\"model\" must be a string"}, "model");
    wanted.model = std::string(trim(named->get_string()));
  }
  if (!wanted.model.empty()) {
    auto name = registered_name(services->registry, wanted.model);
    if (!name && name.error().code == Code::kNotFound)
      return problem_reply(unknown_model(wanted.model));
    if (!name)
      return problem_reply(
          {http_status(name.error().code), name.error().message, "invalid_request_error", "model"});
    wanted.model = *std::move(name);
  }
  Request head;
  head.path = request.path;
  head.headers = request.headers;
  return PendingReply{
      [services, all = Wanted{wanted, head, silence}](std::shared_ptr<Pending> pending) {
        std::make_shared<Forwarded>(std::move(pending), services, all)->run(all);
      }};
}

/// What the engine's core answers itself.
constexpr std::array<std::string_view, 13> kForwarded = {
    "/v1/chat/completions",
    "/v1/chat/completions/input_tokens",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/reranking",
    "/v1/responses",
    "/v1/responses/input_tokens",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/tokenize",
    "/detokenize",
    "/apply-template",
};

}  // namespace

void add_openai_routes(http::Router& router, SharedServices const& services) {
  router.add("GET", "/v1/models", [services](Request const&) { return list_models(*services); });
  router.add("GET", "/v1/models/{model...}",
             [services](Request const& request) { return show_model(*services, request); });
  for (auto const path : kForwarded) {
    router.add(
        "POST", std::string(path),
        [services](Request const& request) { return forward(services, request); }, kBodyLimitBytes);
  }
}

}  // namespace homelab::api
