#include "run_json.h"

#include "json_text.h"

namespace homelab::api {
namespace {

json::value percentiles_json(std::optional<registry::Percentiles> const& value) {
  if (!value) return nullptr;
  return json::object{{"runs", value->runs},
                      {"p50", value->p50},
                      {"p90", value->p90},
                      {"p95", value->p95},
                      {"p99", value->p99}};
}

void add_surroundings(json::object& out, registry::PerformanceRow const& row) {
  out["gpu_mem_peak_alloc_mb"] = value_or_null(row.gpu_mem_peak_alloc_mb);
  out["gpu_mem_reserved_mb"] = value_or_null(row.gpu_mem_reserved_mb);
  out["gpu_utilization_percent"] = value_or_null(row.gpu_utilization_percent);
  out["gpu_temperature_celsius"] = value_or_null(row.gpu_temperature_celsius);
  out["gpu_power_watts"] = value_or_null(row.gpu_power_watts);
  out["cpu_mem_rss_mb"] = value_or_null(row.cpu_mem_rss_mb);
  out["engine_mem_mb"] = value_or_null(row.engine_mem_mb);
  out["cpu_utilization_percent"] = value_or_null(row.cpu_utilization_percent);
  out["system_load_1min"] = value_or_null(row.system_load_1min);
}

void add_times(json::object& out, registry::PerformanceRow const& row) {
  out["input_tokens"] = row.input_tokens;
  out["cached_tokens"] = value_or_null(row.cached_tokens);
  out["output_tokens"] = row.output_tokens;
  out["total_tokens"] = row.input_tokens + row.output_tokens;
  out["queue_wait_ms"] = value_or_null(row.queue_wait_ms);
  out["time_to_first_token_ms"] = value_or_null(row.time_to_first_token_ms);
  out["total_inference_ms"] = row.total_inference_ms;
  out["tokens_per_second"] = value_or_null(row.tokens_per_second);
  out["prefill_ms"] = value_or_null(row.prefill_ms);
  out["prefill_tokens_per_second"] = value_or_null(row.prefill_tokens_per_second);
  out["decode_ms"] = value_or_null(row.decode_ms);
  out["decode_tokens_per_second"] = value_or_null(row.decode_tokens_per_second);
  out["inter_token_mean_ms"] = value_or_null(row.inter_token_mean_ms);
  out["inter_token_p95_ms"] = value_or_null(row.inter_token_p95_ms);
  out["inter_token_max_ms"] = value_or_null(row.inter_token_max_ms);
}

}  // namespace

json::object run_json(registry::PerformanceRow const& row) {
  json::object out;
  out["id"] = row.id;
  out["timestamp"] = to_iso_utc(row.timestamp);
  out["request_id"] = value_or_null(row.request_id);
  out["endpoint"] = value_or_null(row.endpoint);
  out["streamed"] = value_or_null(row.streamed);
  out["model_registry_id"] = value_or_null(row.model_registry_id);
  out["model_name"] = value_or_null(row.model_name);
  out["model_version"] = value_or_null(row.model_version);
  out["quantization"] = value_or_null(row.quantization);
  out["engine_version"] = value_or_null(row.engine_version);
  out["model_dtype"] = value_or_null(row.model_dtype);
  out["model_device"] = value_or_null(row.model_device);
  out["error_occurred"] = row.error_occurred;
  out["error_code"] = value_or_null(row.error_code);
  out["error_message"] = value_or_null(row.error_message);
  add_times(out, row);
  add_surroundings(out, row);
  out["temperature"] = value_or_null(row.temperature);
  out["top_p"] = value_or_null(row.top_p);
  out["top_k"] = value_or_null(row.top_k);
  out["do_sample"] = row.do_sample;
  out["max_new_tokens"] = value_or_null(row.max_new_tokens);
  out["prompt_hash"] = value_or_null(row.prompt_hash);
  out["repetition_detected"] = value_or_null(row.repetition_detected);
  out["repetition_ratio"] = value_or_null(row.repetition_ratio);
  auto parameters = parse_json(row.parameters.value_or("null"));
  out["parameters"] = parameters ? *std::move(parameters) : json::value(nullptr);
  return out;
}

json::object figures_json(registry::RunFigures const& figures) {
  json::object out{{"group", figures.group}};
  if (figures.begins) out["begins"] = to_iso_utc(*figures.begins);
  out["runs"] = figures.runs;
  out["failed"] = figures.failed;
  out["cancelled"] = figures.cancelled;
  out["input_tokens"] = figures.input_tokens;
  out["output_tokens"] = figures.output_tokens;
  out["ttft_ms"] = percentiles_json(figures.ttft_ms);
  out["latency_ms"] = percentiles_json(figures.latency_ms);
  out["decode_tokens_per_second"] = percentiles_json(figures.decode_tokens_per_second);
  out["prefill_tokens_per_second"] = percentiles_json(figures.prefill_tokens_per_second);
  return out;
}

}  // namespace homelab::api
