// How a model's generations performed: /api/analytics (contract §2.7).
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/strings.h"
#include "base/time.h"
#include "dialects.h"
#include "json_text.h"
#include "replies.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

constexpr std::int64_t kDefaultLimit = 100;

/// Every column of the table under its name (contract §3.2).
json::object row_json(registry::PerformanceRow const& row) {
  json::object out;
  out["id"] = row.id;
  out["timestamp"] = to_local_iso(row.timestamp);
  out["model_registry_id"] = value_or_null(row.model_registry_id);
  out["model_version"] = value_or_null(row.model_version);
  out["input_tokens"] = row.input_tokens;
  out["output_tokens"] = row.output_tokens;
  out["total_tokens"] = row.input_tokens + row.output_tokens;
  out["total_inference_ms"] = row.total_inference_ms;
  out["time_to_first_token_ms"] = value_or_null(row.time_to_first_token_ms);
  out["tokens_per_second"] = value_or_null(row.tokens_per_second);
  out["gpu_mem_peak_alloc_mb"] = value_or_null(row.gpu_mem_peak_alloc_mb);
  out["gpu_mem_reserved_mb"] = value_or_null(row.gpu_mem_reserved_mb);
  out["cpu_mem_rss_mb"] = value_or_null(row.cpu_mem_rss_mb);
  out["gpu_utilization_percent"] = value_or_null(row.gpu_utilization_percent);
  out["gpu_temperature_celsius"] = value_or_null(row.gpu_temperature_celsius);
  out["gpu_power_watts"] = value_or_null(row.gpu_power_watts);
  out["cpu_utilization_percent"] = value_or_null(row.cpu_utilization_percent);
  out["system_load_1min"] = value_or_null(row.system_load_1min);
  out["temperature"] = value_or_null(row.temperature);
  out["top_p"] = value_or_null(row.top_p);
  out["top_k"] = value_or_null(row.top_k);
  out["do_sample"] = row.do_sample;
  out["max_new_tokens"] = value_or_null(row.max_new_tokens);
  out["prompt_hash"] = value_or_null(row.prompt_hash);
  out["repetition_detected"] = value_or_null(row.repetition_detected);
  out["error_occurred"] = row.error_occurred;
  out["error_message"] = value_or_null(row.error_message);
  out["model_dtype"] = value_or_null(row.model_dtype);
  out["model_device"] = value_or_null(row.model_device);
  out["quantization"] = value_or_null(row.quantization);
  return out;
}

json::object summary_json(registry::PerformanceSummary const& summary) {
  json::object out;
  out["total_inferences"] = summary.generations;
  out["avg_input_tokens"] = summary.avg_input_tokens;
  out["avg_output_tokens"] = summary.avg_output_tokens;
  out["avg_inference_ms"] = summary.avg_inference_ms;
  out["avg_tokens_per_second"] = summary.avg_tokens_per_second;
  out["avg_gpu_mem_mb"] = value_or_null(summary.avg_gpu_mem_mb);
  out["avg_cpu_mem_mb"] = value_or_null(summary.avg_cpu_mem_mb);
  return out;
}

Reply averages(Services const& services, Request const& request) {
  auto const model = services.registry.find(trim(request.path_value("name")));
  if (!model) return error_reply(model.error());
  services.registry.flush();  // what was answered before is in the answer
  auto const summary = services.registry.summarize_performance(model->id);
  if (!summary) return error_reply(summary.error());
  if (summary->generations == 0)
    return detail_reply(404,
                        fmt::format("No generation of '{}' is recorded yet", model->model_name));
  return json_reply(200, summary_json(*summary));
}

Reply logs(Services const& services, Request const& request) {
  auto const limit = query_integer(request, "limit", kDefaultLimit);
  if (!limit) return limit.error();
  auto const model = services.registry.find(trim(request.path_value("name")));
  if (!model) return error_reply(model.error());
  services.registry.flush();
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  auto const rows = services.registry.recent_performance(
      model->id, static_cast<int>(std::clamp<std::int64_t>(*limit, -1, kMost)));
  if (!rows) return error_reply(rows.error());
  json::array list;
  for (auto const& row : *rows) list.emplace_back(row_json(row));
  std::size_t const count = list.size();
  return json_reply(
      200,
      json::object{{"model_name", model->model_name}, {"logs", std::move(list)}, {"count", count}});
}

}  // namespace

void add_analytics_routes(http::Router& router, SharedServices const& services) {
  router.add("GET", "/api/analytics/performance/{name}",
             [services](Request const& request) { return averages(*services, request); });
  router.add("GET", "/api/analytics/logs/{name}",
             [services](Request const& request) { return logs(*services, request); });
}

}  // namespace homelab::api
