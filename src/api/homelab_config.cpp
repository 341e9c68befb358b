// What the owner says about a model: PATCH /api/models/{name}/config and /metadata (contract §2.3).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "dialects.h"
#include "model_json.h"
#include "replies.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

/// `testing` is the server's own word for a load that is going on.
constexpr std::array<std::string_view, 4> kStatuses = {"unknown", "compatible", "incompatible",
                                                       "degraded"};

Reply change_config(Services const& services, Request const& request) {
  BodyReader body(request);
  registry::ConfigChange change;
  auto const read = [&](std::string_view field, std::optional<std::optional<std::string>>& into) {
    auto value = body.optional_text(field);
    if (body.fields().contains(field)) into = std::move(value);
  };
  read("load_config", change.load_config);
  read("compatibility_status", change.compatibility_status);
  read("compatibility_notes", change.compatibility_notes);
  if (auto rejection = body.rejection()) return *std::move(rejection);
  auto const model = services.registry.find(trim(request.path_value("name")));
  if (!model) return error_reply(model.error());
  if (change.load_config && *change.load_config) {
    if (auto const parsed = parse_json(**change.load_config); !parsed)
      return detail_reply(400,
                          fmt::format("load_config must be JSON text: {}", parsed.error().message));
  }
  if (change.compatibility_status && *change.compatibility_status) {
    auto const& status = **change.compatibility_status;
    if (std::find(kStatuses.begin(), kStatuses.end(), status) == kStatuses.end())
      return detail_reply(400, fmt::format("compatibility_status '{}' is none of {}", status,
                                           fmt::join(kStatuses, ", ")));
  }
  auto const changed = services.registry.set_config(model->id, change);
  if (!changed) return error_reply(changed.error());
  return json_reply(200, model_json(*changed));
}

Reply change_metadata(Services const& services, Request const& request) {
  BodyReader body(request);
  registry::MetadataChange change;
  auto const number = [&](std::string_view field, registry::MetadataChange::Number& into) {
    auto value = body.optional_number(field, std::nullopt);
    if (body.fields().contains(field)) into = value;
  };
  number("mmlu_score", change.mmlu_score);
  number("gpqa_score", change.gpqa_score);
  number("hellaswag_score", change.hellaswag_score);
  number("humaneval_score", change.humaneval_score);
  number("mbpp_score", change.mbpp_score);
  number("math_score", change.math_score);
  number("truthfulqa_score", change.truthfulqa_score);
  number("perplexity", change.perplexity);
  number("max_throughput_tokens_sec", change.max_throughput_tokens_sec);
  number("avg_latency_ms", change.avg_latency_ms);
  auto quantization = body.optional_text("quantization");
  if (body.fields().contains("quantization")) change.quantization = std::move(quantization);
  if (auto rejection = body.rejection()) return *std::move(rejection);
  auto const model = services.registry.find(trim(request.path_value("name")));
  if (!model) return error_reply(model.error());
  auto const changed = services.registry.set_metadata(model->id, change);
  if (!changed) return error_reply(changed.error());
  return json_reply(200, model_json(*changed));
}

}  // namespace

void add_config_routes(http::Router& router, SharedServices const& services) {
  router.add("PATCH", "/api/models/{name}/config",
             [services](Request const& request) { return change_config(*services, request); });
  router.add("PATCH", "/api/models/{name}/metadata",
             [services](Request const& request) { return change_metadata(*services, request); });
}

}  // namespace homelab::api
