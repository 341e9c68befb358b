#include "model_json.h"

#include "base/time.h"
#include "json_text.h"

namespace homelab::api {
namespace {

json::value time_or_null(std::optional<UtcTime> const& time) {
  if (!time) return nullptr;
  return json::value(to_local_iso(*time));
}

void add_scores(json::object& out, registry::Model const& model) {
  out["mmlu_score"] = value_or_null(model.mmlu_score);
  out["gpqa_score"] = value_or_null(model.gpqa_score);
  out["hellaswag_score"] = value_or_null(model.hellaswag_score);
  out["humaneval_score"] = value_or_null(model.humaneval_score);
  out["mbpp_score"] = value_or_null(model.mbpp_score);
  out["math_score"] = value_or_null(model.math_score);
  out["truthfulqa_score"] = value_or_null(model.truthfulqa_score);
  out["perplexity"] = value_or_null(model.perplexity);
  out["max_throughput_tokens_sec"] = value_or_null(model.max_throughput_tokens_sec);
  out["avg_latency_ms"] = value_or_null(model.avg_latency_ms);
  out["quantization"] = value_or_null(model.quantization);
}

}  // namespace

json::object model_json(registry::Model const& model) {
  json::object out;
  out["id"] = model.id;
  out["model_name"] = model.model_name;
  out["hf_path"] = model.hf_path;
  out["trust_remote_code"] = model.trust_remote_code;
  out["created_at"] = to_local_iso(model.created_at);
  out["cache_location"] = model.cache_location;
  out["cache_path"] = value_or_null(model.cache_path);
  out["model_size_mb"] = value_or_null(model.model_size_mb);
  out["parameter_count"] = value_or_null(model.parameter_count);
  out["model_type"] = value_or_null(model.model_type);
  out["architecture"] = value_or_null(model.architecture);
  out["default_dtype"] = value_or_null(model.default_dtype);
  out["context_length"] = value_or_null(model.context_length);
  add_scores(out, model);
  out["total_loads"] = model.total_loads;
  out["total_inferences"] = model.total_inferences;
  out["last_loaded"] = time_or_null(model.last_loaded);
  out["load_config"] = value_or_null(model.load_config);
  out["compatibility_status"] = value_or_null(model.compatibility_status);
  out["compatibility_notes"] = value_or_null(model.compatibility_notes);
  out["current_commit"] = value_or_null(model.current_commit);
  out["current_version"] = value_or_null(model.current_version);
  out["last_updated"] = time_or_null(model.last_updated);
  out["update_available"] = model.update_available;
  out["last_update_check"] = time_or_null(model.last_update_check);
  return out;
}

}  // namespace homelab::api
