// The management calls of llama.cpp's own router: what its page and Open WebUI's provider use.
#include <fmt/format.h>

#include "api/model_feed.h"
#include "base/log.h"
#include "base/strings.h"
#include "cancel_handle.h"
#include "dialects.h"
#include "json_text.h"
#include "late_stream.h"
#include "model_entry.h"
#include "model_name.h"
#include "quiet_watch.h"
#include "replies.h"
#include "stream_words.h"

namespace homelab::api {
namespace {

using http::Pending;
using http::PendingReply;
using http::Reply;
using http::Request;
using http::Response;

Response refuse(int status, std::string_view type, std::string_view message) {
  return json_reply(
      status, json::object{{"error", {{"code", status}, {"message", message}, {"type", type}}}});
}

Response success() { return json_reply(200, json::object{{"success", true}}); }

Reply list(Services const& services) {
  auto const models = model_list(services);
  return models ? json_reply(200, *models) : refuse(500, "server_error", models.error().message);
}

/// The registered name of the body's "model".
tl::expected<std::string, Response> read_model(Services const& services, Request const& request) {
  using Refused = tl::unexpected<Response>;
  auto const body = parse_json(request.body);
  auto const* fields = body ? body->if_object() : nullptr;
  auto const wanted = fields == nullptr ? std::nullopt : get_string(*fields, "model");
  if (!wanted)
    return Refused(refuse(400, "invalid_request_error",
                          "the body must be a JSON object with the name of a \"model\""));
  auto name = registered_name(services.registry, std::string(trim(*wanted)));
  if (name) return *std::move(name);
  bool const unknown = name.error().code == Code::kNotFound;
  return Refused(unknown ? refuse(404, "not_found_error",
                                  fmt::format("model '{}' is not registered here", *wanted))
                         : refuse(400, "invalid_request_error", name.error().message));
}

/// Answers when the load was taken up, as llama.cpp does; GET /models/sse tells how it goes on.
Reply load(SharedServices const& services, Request const& request) {
  auto const name = read_model(*services, request);
  if (!name) return name.error();
  if (ModelStates(services->engines).of(*name) != "unloaded")
    return refuse(400, "invalid_request_error", "model is already running");
  services->engines.load(*name, false, engine::Place::kBeside, [name = *name](auto const& loaded) {
    if (!loaded) logger("api")->warn("load of {}: {}", name, loaded.error().message);
  });
  return PendingReply{[services](std::shared_ptr<Pending> const& pending) {
    // No names: only its turn counts. Who asks after the answer finds the model loading.
    services->engines.if_unused({}, [pending](Status const& taken_up) {
      pending->complete(taken_up ? success()
                                 : refuse(503, "unavailable_error", taken_up.error().message));
    });
  }};
}

Reply unload(SharedServices const& services, Request const& request) {
  auto const name = read_model(*services, request);
  if (!name) return name.error();
  return PendingReply{[services, name = *name](std::shared_ptr<Pending> const& pending) {
    services->engines.unload(name, [pending](Result<std::string> const& unloaded) {
      pending->complete(unloaded ? success()
                                 : refuse(400, "invalid_request_error", unloaded.error().message));
    });
  }};
}

/// Every change from now on; a client asks for the list first or after each event.
Reply events(Services const& services) {
  auto const watching = std::make_shared<CancelHandle>();
  auto const stream = std::make_shared<LateStream>([watching] { watching->cancel(); });
  auto const quiet =
      std::make_shared<QuietWatch>(services.timers, ping_interval(services.settings),
                                   [stream] { stream->write_between(std::string(kPingComment)); });
  quiet->start();
  ModelFeed::Watcher watcher;
  watcher.on_event = [stream, quiet](json::object const& event) {
    quiet->heard();
    stream->write("data: " + to_ascii_json_text(event) + "\n\n");
  };
  watcher.on_end = [stream, quiet] {
    quiet->stop();
    stream->close(true);
  };
  watching->hold(services.feed.watch(std::move(watcher)));
  return stream->events_reply();
}

}  // namespace

void add_llama_router_routes(http::Router& router, SharedServices const& services) {
  router.add("GET", "/models", [services](Request const&) { return list(*services); });
  router.add("GET", "/models/sse", [services](Request const&) { return events(*services); });
  router.add("POST", "/models/load",
             [services](Request const& request) { return load(services, request); });
  router.add("POST", "/models/unload",
             [services](Request const& request) { return unload(services, request); });
}

}  // namespace homelab::api
