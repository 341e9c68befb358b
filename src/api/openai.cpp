// OpenAI's dialect: the engine speaks it, so bodies and streams pass through unchanged.
#include <fmt/format.h>

#include <chrono>

#include "base/strings.h"
#include "cancel_handle.h"
#include "dialects.h"
#include "http/local_client.h"
#include "json_text.h"
#include "late_stream.h"
#include "replies.h"

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
  std::string_view type = "server_error";
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

/// A model marked incompatible is the caller's affair (its clients try a 5xx again, each time with
/// a load).
Problem not_loadable(Error const& error) {
  bool const refused = error.code == Code::kFailedPrecondition;
  return {refused ? 400 : http_status(error.code, Doing::kLoad), error.message,
          refused ? "invalid_request_error" : "server_error", "model", "model_not_loadable"};
}

/// One request on its way through the engine: head first, then bytes as they come.
class Forwarded : public std::enable_shared_from_this<Forwarded> {
 public:
  explicit Forwarded(std::shared_ptr<Pending> pending)
      : pending_(std::move(pending)), work_(std::make_shared<CancelHandle>()) {
    stream_ = std::make_shared<LateStream>([work = work_] { work->cancel(); });
  }

  /// `model` empty: whatever is loaded. Else that model is loaded first, if it is not yet.
  void run(SharedServices const& services, std::string const& model, std::string target,
           std::string body) {
    pending_->on_client_gone([work = work_] { work->cancel(); });
    auto const self = shared_from_this();
    if (model.empty()) return send(services->engines, std::move(target), std::move(body));
    services->engines.load(model, false,
                           [self, services, target = std::move(target),
                            body = std::move(body)](Result<registry::Model> const& loaded) mutable {
                             if (loaded)
                               return self->send(services->engines, std::move(target),
                                                 std::move(body));
                             self->pending_->complete(problem_reply(not_loadable(loaded.error())));
                           });
  }

 private:
  void send(engine::EngineService& engines, std::string target, std::string body) {
    auto const self = shared_from_this();
    // A client that left while the model was loading needs no answer.
    if (work_->cancelled()) return pending_->complete(problem_reply({503, "cancelled"}));
    http::LocalCallbacks callbacks;
    callbacks.on_head = [self](int status, http::Headers const& headers) {
      self->head(status, headers);
    };
    callbacks.on_data = [self](std::string_view bytes) { self->data(bytes); };
    callbacks.on_done = [self](Status const& status) { self->done(status); };
    work_->hold(engines.forward("POST", std::move(target), std::move(body), std::move(callbacks)));
  }

  void head(int status, http::Headers const& headers) {
    status_ = status;
    content_type_ = headers.find("content-type").value_or("application/json");
    streaming_ = content_type_.starts_with("text/event-stream");
    if (!streaming_) return;
    http::StreamReply reply;
    reply.status = status;
    reply.headers.set("content-type", content_type_);
    reply.headers.set("cache-control", "no-cache");
    reply.headers.set("x-accel-buffering", "no");
    reply.start = stream_->starter();
    pending_->complete(std::move(reply));
  }

  void data(std::string_view bytes) {
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
    if (streaming_) return end_stream(status);
    if (too_long_)
      return pending_->complete(
          problem_reply({502, "The engine's answer is longer than 64 MiB; ask for a stream"}));
    if (!status) return pending_->complete(problem_reply(failure(status.error())));
    pending_->complete(text_reply(status_, std::move(body_), content_type_));
  }

  /// The head has gone out as 200: an error event is what OpenAI's clients raise from there.
  void end_stream(Status const& status) {
    if (!status)
      stream_->write("\n\ndata: " + to_ascii_json_text(problem_json(failure(status.error()))) +
                     "\n\n");
    stream_->close(true);
  }

  static Problem failure(Error const& error) {
    if (error.code == Code::kFailedPrecondition) return no_model_loaded();
    return {http_status(error.code, Doing::kGenerate), error.message};
  }

  std::shared_ptr<Pending> pending_;
  std::shared_ptr<CancelHandle> work_;
  std::shared_ptr<LateStream> stream_;
  // Only touched by the callbacks, which come one after the other.
  int status_ = 0;
  bool streaming_ = false;
  bool too_long_ = false;
  std::string content_type_;
  std::string body_;
};

json::object model_entry(registry::Model const& model) {
  auto const seconds =
      std::chrono::duration_cast<std::chrono::seconds>(model.created_at.time_since_epoch());
  return {{"id", model.model_name},
          {"object", "model"},
          {"created", seconds.count()},
          {"owned_by", "homelab-llm"}};
}

Reply list_models(Services const& services) {
  auto const models = services.registry.list();
  if (!models) return problem_reply({500, models.error().message});
  json::array data;
  for (registry::Model const& model : *models) data.push_back(model_entry(model));
  return json_reply(200, json::object{{"object", "list"}, {"data", std::move(data)}});
}

Reply show_model(Services const& services, Request const& request) {
  std::string const name =
      percent_decode(request.path_value("model")).value_or(request.path_value("model"));
  auto const model = services.registry.find(name);
  if (model) return json_reply(200, model_entry(*model));
  if (model.error().code == Code::kNotFound) return problem_reply(unknown_model(name));
  return problem_reply({500, model.error().message});
}

/// The registered name for what a client calls the model: its name, or the Hub id if exactly one
/// row has it.
Result<std::string> registered_name(registry::Registry& registry, std::string const& wanted) {
  auto const by_name = registry.find(wanted);
  if (by_name) return by_name->model_name;
  if (by_name.error().code != Code::kNotFound) return fail(by_name.error());
  ASSIGN_OR_RETURN(auto const models, registry.list());
  std::string found;
  for (registry::Model const& model : models) {
    if (model.hf_path != wanted) continue;
    if (!found.empty())
      return fail(Code::kInvalidArgument,
                  fmt::format("Several registered models use '{}': name one of them", wanted));
    found = model.model_name;
  }
  if (found.empty()) return fail(by_name.error());
  return found;
}

Reply forward(SharedServices const& services, Request const& request) {
  auto const body = parse_json(request.body);
  json::object const* const fields = body ? body->if_object() : nullptr;
  if (!fields)
    return problem_reply({400, body ? "The body must be a JSON object" : body.error().message,
                          "invalid_request_error"});
  std::string model;
  if (json::value const* const named = fields->if_contains("model"); named && !named->is_null()) {
    if (!named->is_string())
      return problem_reply({400, "\"model\" must be a string", "invalid_request_error", "model"});
    model = std::string(trim(named->get_string()));
  }
  if (!model.empty()) {
    auto name = registered_name(services->registry, model);
    if (!name && name.error().code == Code::kNotFound) return problem_reply(unknown_model(model));
    if (!name)
      return problem_reply(
          {http_status(name.error().code), name.error().message, "invalid_request_error", "model"});
    model = *std::move(name);
  }
  return PendingReply{[services, model, target = request.path,
                       text = request.body](std::shared_ptr<Pending> pending) {
    std::make_shared<Forwarded>(std::move(pending))->run(services, model, target, text);
  }};
}

}  // namespace

void add_openai_routes(http::Router& router, SharedServices const& services) {
  router.add("GET", "/v1/models", [services](Request const&) { return list_models(*services); });
  router.add("GET", "/v1/models/{model...}",
             [services](Request const& request) { return show_model(*services, request); });
  for (std::string const path : {"/v1/chat/completions", "/v1/completions"}) {
    router.add(
        "POST", path, [services](Request const& request) { return forward(services, request); },
        kBodyLimitBytes);
  }
}

}  // namespace homelab::api
