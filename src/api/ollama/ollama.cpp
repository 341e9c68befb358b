// Ollama's dialect, for its many clients: OLLAMA_HOST=http://127.0.0.1:8000/ollama.
#include <fmt/format.h>

#include <atomic>
#include <chrono>

#include "../cancel_handle.h"
#include "../dialects.h"
#include "../late_stream.h"
#include "../model_name.h"
#include "../quiet_watch.h"
#include "../replies.h"
#include "../request_book.h"
#include "../retry_after.h"
#include "../run_label.h"
#include "base/time.h"
#include "config/settings.h"
#include "http/local_client.h"
#include "http/sse_parser.h"
#include "translate.h"

namespace homelab::api {
namespace {

using http::Pending;
using http::PendingReply;
using http::Reply;
using http::Request;
using http::Response;
using ollama::Wanted;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kBodyLimitBytes = 64U << 20U;    // prompts may carry images
constexpr std::size_t kErrorLimitBytes = 1U << 20U;    // of the engine's refusal
constexpr std::size_t kVectorLimitBytes = 64U << 20U;  // of an answer with embeddings
/// The version whose API this is.
constexpr std::string_view kVersion = "0.12.0";

Response refuse(int status, std::string_view text) {
  return json_reply(status, ollama::error_json(text));
}

Response refuse(Error const& error) {
  int const status =
      error.code == Code::kFailedPrecondition ? 400 : http_status(error.code, Doing::kGenerate);
  return refuse(status, error.message);
}

Response refuse(Services const& services, std::string const& model, Error const& error) {
  auto reply = refuse(error);
  say_when_to_come_back(reply, error, services.engines, model);
  return reply;
}

/// One request on the engine, its answer translated on the way.
class Translated : public std::enable_shared_from_this<Translated> {
 public:
  Translated(std::shared_ptr<Pending> pending, SharedServices services, Wanted const& wanted,
             std::string const& shown)
      : pending_(std::move(pending)),
        services_(std::move(services)),
        model_(wanted.model),
        stream_wanted_(wanted.stream),
        answer_(shown, wanted.chat),
        work_(std::make_shared<CancelHandle>()) {
    stream_ = std::make_shared<LateStream>([work = work_] { work->cancel(); });
  }

  void run(engine::ForwardRequest request, Request const& head) {
    place_ = services_->requests->enter(head, model_, [work = work_] { work->cancel(); });
    request.label.request_id = place_->id();
    pending_ = with_request_id(pending_, place_->id());
    pending_->on_client_gone([work = work_] { work->cancel(); });
    auto const self = shared_from_this();
    auto const interval =
        stream_wanted_ ? ping_interval(services_->settings) : std::chrono::milliseconds(0);
    quiet_ = std::make_shared<QuietWatch>(services_->timers, interval, [weak = weak_from_this()] {
      if (auto const alive = weak.lock()) alive->write(alive->answer_.nothing_yet());
    });
    quiet_->start();
    http::LocalCallbacks callbacks;
    callbacks.on_head = [self](int status, http::Headers const&) {
      self->status_ = status;
      self->place_->heard();
    };
    callbacks.on_data = [self](std::string_view bytes) { self->data(bytes); };
    callbacks.on_done = [self](Status const& status) { self->done(status); };
    work_->hold(services_->engines.forward(std::move(request), std::move(callbacks)));
  }

 private:
  void data(std::string_view bytes) {
    if (status_ != 200) {
      if (refusal_.size() + bytes.size() <= kErrorLimitBytes) refusal_ += bytes;
      return;
    }
    if (error_) return;
    std::vector<http::SseEvent> events;
    if (auto const fed = events_.feed(bytes, events); !fed) return give_up(fed.error());
    for (auto const& event : events) {
      auto const lines = answer_.take(event.data);
      if (!lines) return give_up(lines.error());
      for (auto const& line : *lines) {
        quiet_->heard();
        write(line);
      }
    }
  }

  void give_up(Error const& error) {
    error_ = error;
    work_->cancel();
  }

  void write(json::object const& line) {
    if (!stream_wanted_) return;
    if (!begun_.exchange(true)) {
      http::StreamReply reply;
      reply.headers.set("content-type", "application/x-ndjson");
      reply.headers.set("cache-control", "no-cache");
      reply.start = stream_->starter();
      pending_->complete(std::move(reply));
    }
    stream_->write(json::serialize(line) + "\n");
  }

  void done(Status const& status) {
    work_->release();
    place_->leave();
    quiet_->stop();
    if (!error_ && !status) error_ = status.error();
    if (error_) return fail_with(refuse(*services_, model_, *error_), error_->message);
    if (status_ != 200) {
      auto const reason = ollama::core_error(refusal_);
      return fail_with(refuse(status_, reason), reason);
    }
    auto const total = Clock::now() - began_;
    if (!stream_wanted_) return pending_->complete(json_reply(200, answer_.whole(total)));
    write(answer_.last(total));
    stream_->close(true);
  }

  /// Once the stream has begun, its last line says why it ends.
  void fail_with(Response refusal, std::string const& reason) {
    if (!begun_.exchange(true)) return pending_->complete(std::move(refusal));
    write(ollama::error_json(reason));
    stream_->close(true);
  }

  std::shared_ptr<Pending> pending_;
  SharedServices const services_;
  std::string const model_;
  bool const stream_wanted_;
  Clock::time_point const began_ = Clock::now();
  std::atomic<bool> begun_{false};  ///< the answer's head is decided
  // Only touched by the callbacks, which come one after the other.
  ollama::Answer answer_;
  http::SseParser events_;
  int status_ = 0;
  std::string refusal_;
  std::optional<Error> error_;
  std::shared_ptr<CancelHandle> work_;
  std::shared_ptr<RequestBook::Place> place_;
  std::shared_ptr<LateStream> stream_;
  std::shared_ptr<QuietWatch> quiet_;
};

using Reader = Result<Wanted> (*)(json::object const&);

/// The request with the model's registered name, or its refusal.
tl::expected<Wanted, Response> read(Services const& services, Request const& request, Reader reader,
                                    std::string& shown) {
  using Refused = tl::unexpected<Response>;
  auto const body = parse_json(request.body);
  auto const* fields = body ? body->if_object() : nullptr;
  if (fields == nullptr)
    return Refused(refuse(400, body ? "the body must be a JSON object" : body.error().message));
  auto wanted = reader(*fields);
  if (!wanted) return Refused(refuse(400, wanted.error().message));
  shown = wanted->model;
  auto name = registered_name(services.registry, wanted->model);
  if (!name && name.error().code == Code::kNotFound)
    return Refused(refuse(404, fmt::format("model '{}' is not registered here", wanted->model)));
  if (!name) return Refused(refuse(400, name.error().message));
  wanted->model = *std::move(name);
  return *std::move(wanted);
}

/// What the request book reads of a request.
Request head_of(Request const& request) {
  Request head;
  head.path = request.path;
  head.headers = request.headers;
  return head;
}

engine::ForwardRequest forward_request(Wanted const& wanted, Request const& request) {
  auto label = run_label(request, wanted.body);
  label.streamed = wanted.stream;
  return {.model = wanted.model,
          .method = "POST",
          .target = wanted.target,
          .body = json::serialize(wanted.body),
          .keep_alive = wanted.keep_alive,
          .label = std::move(label)};
}

/// No prompt: only the model is meant. With keep_alive 0 it goes, else it comes.
Reply load_only(SharedServices const& services, Wanted const& wanted, std::string const& shown) {
  bool const unload = wanted.keep_alive && wanted.keep_alive->count() == 0;
  json::object out{{"model", shown},
                   {"created_at", to_iso_utc(utc_now())},
                   {"done", true},
                   {"done_reason", unload ? "unload" : "load"}};
  if (wanted.chat) {
    out["message"] = {{"role", "assistant"}, {"content", ""}};
  } else {
    out["response"] = "";
  }
  return PendingReply{[services, unload, name = wanted.model,
                       out](std::shared_ptr<Pending> const& pending) {
    auto const answer = [pending, out](auto const& result) {
      bool const fine = result || result.error().code == Code::kFailedPrecondition;
      pending->complete(fine ? json_reply(200, out) : refuse(result.error()));
    };
    if (unload) {
      services->engines.unload(name, answer);
    } else {
      services->engines.load(name, false, engine::Place::kBeside, [=](auto const& loaded) {
        pending->complete(loaded ? json_reply(200, out) : refuse(*services, name, loaded.error()));
      });
    }
  }};
}

Reply generate(SharedServices const& services, Request const& request, Reader reader) {
  std::string shown;
  auto wanted = read(*services, request, reader, shown);
  if (!wanted) return std::move(wanted).error();
  if (wanted->only_load) return load_only(services, *wanted, shown);
  auto const forwarded = forward_request(*wanted, request);
  return PendingReply{[services, shown, forwarded, head = head_of(request),
                       wanted = *std::move(wanted)](std::shared_ptr<Pending> pending) {
    std::make_shared<Translated>(std::move(pending), services, wanted, shown)->run(forwarded, head);
  }};
}

/// A whole answer of the engine, kept until its end.
struct WholeAnswer {
  std::shared_ptr<Pending> pending;
  std::shared_ptr<RequestBook::Place> place;
  CancelHandle work;
  Clock::time_point began = Clock::now();
  int status = 0;
  std::string body;
  bool too_long = false;
};

Response embedded(WholeAnswer const& answer, std::string const& shown, bool older) {
  if (answer.too_long) return refuse(502, "the engine's answer is longer than 64 MiB");
  if (answer.status != 200) return refuse(answer.status, ollama::core_error(answer.body));
  auto const core = parse_json(answer.body);
  if (!core) return refuse(502, core.error().message);
  auto const out = ollama::embed_answer(shown, *core, older, Clock::now() - answer.began);
  return out ? json_reply(200, *out) : refuse(502, out.error().message);
}

Reply embed(SharedServices const& services, Request const& request, bool older) {
  std::string shown;
  auto wanted = read(*services, request, ollama::read_embed, shown);
  if (!wanted) return std::move(wanted).error();
  auto const forwarded = forward_request(*wanted, request);
  return PendingReply{[services, shown, older, forwarded, head = head_of(request),
                       wanted = *std::move(wanted)](std::shared_ptr<Pending> const& pending) {
    auto const answer = std::make_shared<WholeAnswer>();
    auto const cancel = [weak = std::weak_ptr(answer)] {
      if (auto const alive = weak.lock()) alive->work.cancel();
    };
    answer->place = services->requests->enter(head, wanted.model, cancel);
    answer->pending = with_request_id(pending, answer->place->id());
    answer->pending->on_client_gone(cancel);
    auto labelled = forwarded;
    labelled.label.request_id = answer->place->id();
    http::LocalCallbacks callbacks;
    callbacks.on_head = [answer](int status, http::Headers const&) {
      answer->status = status;
      answer->place->heard();
    };
    callbacks.on_data = [answer](std::string_view bytes) {
      answer->too_long = answer->too_long || answer->body.size() + bytes.size() > kVectorLimitBytes;
      if (!answer->too_long) answer->body += bytes;
    };
    callbacks.on_done = [services, answer, model = wanted.model, shown,
                         older](Status const& status) {
      answer->work.release();
      answer->place->leave();
      answer->pending->complete(status || answer->too_long
                                    ? embedded(*answer, shown, older)
                                    : refuse(*services, model, status.error()));
    };
    answer->work.hold(services->engines.forward(std::move(labelled), std::move(callbacks)));
  }};
}

// ---- What there is ----

std::string parameter_size(registry::Model const& model) {
  if (!model.parameter_count) return "";
  auto const count = static_cast<double>(*model.parameter_count);
  return count >= 1e9 ? fmt::format("{:.1f}B", count / 1e9) : fmt::format("{:.2f}M", count / 1e6);
}

json::object details(registry::Model const& model) {
  std::string const family = model.architecture.value_or("");
  bool const gguf =
      model.hf_path.ends_with(".gguf") || model.hf_path.find(':') != std::string::npos;
  json::array families;
  if (!family.empty()) families.push_back(json::value(family));
  return {{"parent_model", ""},
          {"format", gguf ? "gguf" : "safetensors"},
          {"family", family},
          {"families", std::move(families)},
          {"parameter_size", parameter_size(model)},
          {"quantization_level", model.default_dtype.value_or("")}};
}

json::object entry(registry::Model const& model) {
  auto const bytes = static_cast<std::int64_t>(model.model_size_mb.value_or(0) * 1024 * 1024);
  return {{"name", model.model_name},
          {"model", model.model_name},
          {"modified_at", to_iso_utc(model.last_updated.value_or(model.created_at))},
          {"size", bytes},
          {"digest", model.current_commit.value_or("")},
          {"details", details(model)}};
}

Reply tags(Services const& services) {
  auto const models = services.registry.list();
  if (!models) return refuse(500, models.error().message);
  json::array out;
  for (auto const& model : *models) out.push_back(entry(model));
  return json_reply(200, json::object{{"models", std::move(out)}});
}

/// When a loaded model goes by itself, if nobody uses it from now on. A request's own keep_alive is
/// not looked at. One that stays gets a time far away, as Ollama does: its clients ask for one.
UtcTime expires_at(Services const& services, engine::LoadedModel const& model) {
  constexpr std::chrono::hours kForEver{24 * 365 * 100};
  auto const idle = services.settings.idle_unload();
  bool const stays = model.pinned || idle.count() == 0;
  return utc_now() + (stays ? std::chrono::seconds(kForEver) : idle);
}

Reply running(Services const& services) {
  json::array out;
  for (auto const& loaded : services.engines.all_loaded()) {
    auto const model = services.registry.find(loaded.name);
    if (!model) continue;
    auto one = entry(*model);
    one["size"] = loaded.resident_bytes;
    one["expires_at"] = to_iso_utc(expires_at(services, loaded));
    one["size_vram"] = loaded.device == "cpu" ? 0 : loaded.resident_bytes;
    out.push_back(std::move(one));
  }
  return json_reply(200, json::object{{"models", std::move(out)}});
}

Reply show(Services const& services, Request const& request) {
  std::string shown;
  auto const wanted = read(services, request, ollama::read_generate, shown);  // the name alone
  if (!wanted) return wanted.error();
  auto const model = services.registry.find(wanted->model);
  if (!model) return refuse(500, model.error().message);
  json::object info{{"general.architecture", model->architecture.value_or("")}};
  if (model->parameter_count) info["general.parameter_count"] = *model->parameter_count;
  if (model->context_length && model->architecture)
    info[*model->architecture + ".context_length"] = *model->context_length;
  return json_reply(200, json::object{{"modelfile", fmt::format("FROM {}", model->hf_path)},
                                      {"parameters", ""},
                                      {"template", ""},
                                      {"details", details(*model)},
                                      {"model_info", std::move(info)},
                                      {"capabilities", json::array{"completion"}},
                                      {"modified_at", to_iso_utc(model->created_at)}});
}

}  // namespace

void add_ollama_routes(http::Router& router, SharedServices const& services) {
  auto const post = [&](std::string const& path, auto handler) {
    router.add("POST", "/ollama/api" + path, std::move(handler), kBodyLimitBytes);
  };
  post("/chat", [services](Request const& request) {
    return generate(services, request, ollama::read_chat);
  });
  post("/generate", [services](Request const& request) {
    return generate(services, request, ollama::read_generate);
  });
  post("/embed", [services](Request const& request) { return embed(services, request, false); });
  post("/embeddings",
       [services](Request const& request) { return embed(services, request, true); });
  post("/show", [services](Request const& request) { return show(*services, request); });
  router.add("GET", "/ollama/api/tags", [services](Request const&) { return tags(*services); });
  router.add("GET", "/ollama/api/ps", [services](Request const&) { return running(*services); });
  router.add("GET", "/ollama/api/version",
             [](Request const&) { return json_reply(200, json::object{{"version", kVersion}}); });
  // Its clients ask this to see whether somebody is there.
  for (auto const* path : {"/ollama", "/ollama/"})
    router.add("GET", path, [](Request const&) { return text_reply(200, "Ollama is running"); });
}

}  // namespace homelab::api
