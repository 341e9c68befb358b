// Loading, unloading, status and the self-test (contract §2.4).
#include <fmt/format.h>

#include "base/strings.h"
#include "dialects.h"
#include "gpu.h"
#include "json_text.h"
#include "replies.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Pending;
using http::PendingReply;
using http::Reply;
using http::Request;

Reply status(Services const& services) {
  auto const loaded = services.engines.loaded();
  json::object out;
  out["loaded_model"] = loaded ? json::value(loaded->name) : json::value();
  out["loaded_model_id"] = loaded ? json::value(loaded->id) : json::value();
  out["performance_logging"] = services.engines.performance_logging();
  out["gpu_available"] = gpu_available();
  // The figures of the original's allocator have no counterpart before an engine reports its GPU
  // memory.
  out["gpu_memory_allocated_mb"] = nullptr;
  out["gpu_memory_reserved_mb"] = nullptr;
  return json_reply(200, out);
}

json::object loaded_answer(registry::Model const& model) {
  json::object out;
  out["message"] = fmt::format("Model '{}' is loaded", model.model_name);
  out["model_id"] = model.id;
  out["parameter_count"] = value_or_null(model.parameter_count);
  out["model_type"] = value_or_null(model.model_type);
  out["compatibility_status"] = value_or_null(model.compatibility_status);
  return out;
}

Reply load(SharedServices const& services, Request const& request) {
  BodyReader body(request);
  std::string const name = body.text("model_name", not_blank("model_name"));
  bool const force = body.boolean_or("force_load", false);
  bool const beside = body.boolean_or("beside", false);  // ours: leave the loaded model where it is
  if (auto rejection = body.rejection()) return *std::move(rejection);
  auto const row = services->registry.find(name);
  if (!row) return error_reply(row.error());
  // The engine service decides; this only tells its refusal (400) from a load that broke (500).
  bool const refusable = row->compatibility_status == "incompatible" && !force;

  auto const place = beside ? engine::Place::kBeside : engine::Place::kInstead;
  return PendingReply{
      [services, name, force, place, refusable](std::shared_ptr<Pending> const& pending) {
        services->engines.load(name, force, place, [=](Result<registry::Model> const& model) {
          services->usage.refresh_soon();  // something may have been downloaded
          if (model) return pending->complete(json_reply(200, loaded_answer(*model)));
          bool const refused = refusable && model.error().code == Code::kFailedPrecondition;
          auto const wait = services->engines.retry_after(name);
          if (model.error().code == Code::kAborted && wait.count() > 0) {
            auto reply = detail_reply(503, model.error().message);
            reply.headers.set("retry-after", std::to_string(wait.count()));
            return pending->complete(std::move(reply));
          }
          pending->complete(error_reply(model.error(), refused ? Doing::kCall : Doing::kLoad));
        });
      }};
}

/// The original's call has no body; ours may name a model that is loaded beside "the" loaded one.
Reply unload(SharedServices const& services, Request const& request) {
  std::string name;
  if (!trim(request.body).empty()) {
    BodyReader body(request);
    name = body.optional_text("model_name").value_or("");
    if (auto rejection = body.rejection()) return *std::move(rejection);
  }
  return PendingReply{[services, name](std::shared_ptr<Pending> const& pending) {
    services->engines.unload(name, [pending](Result<std::string> const& unloaded) {
      if (!unloaded) return pending->complete(error_reply(unloaded.error()));
      pending->complete(json_reply(
          200, json::object{{"message", fmt::format("Model '{}' was unloaded", *unloaded)}}));
    });
  }};
}

json::object validation_answer(engine::ValidateOutcome const& outcome) {
  json::object out;
  out["status"] = outcome.healthy ? "healthy" : "unhealthy";
  out["model_name"] = outcome.model_name;
  out["test_passed"] = outcome.healthy;
  if (outcome.healthy) {
    out["device"] = outcome.device;
    out["dtype"] = outcome.dtype;
  } else {
    out["error"] = outcome.error;
  }
  return out;
}

Reply validate(SharedServices const& services) {
  return PendingReply{[services](std::shared_ptr<Pending> const& pending) {
    services->engines.validate([pending](Result<engine::ValidateOutcome> const& outcome) {
      if (outcome) return pending->complete(json_reply(200, validation_answer(*outcome)));
      pending->complete(error_reply(outcome.error(), Doing::kGenerate));
    });
  }};
}

}  // namespace

void add_orchestration_routes(http::Router& router, SharedServices const& services) {
  router.add("GET", "/api/status", [services](Request const&) { return status(*services); });
  router.add("POST", "/api/orchestrate/load",
             [services](Request const& request) { return load(services, request); });
  router.add("POST", "/api/orchestrate/unload",
             [services](Request const& request) { return unload(services, request); });
  router.add("GET", "/api/orchestrate/validate",
             [services](Request const&) { return validate(services); });
}

}  // namespace homelab::api
