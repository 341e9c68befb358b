#include "rows.h"

#include <array>
#include <cmath>
#include <cstddef>

namespace homelab::registry {
namespace {

/// Reads the columns of a row from left to right.
class RowReader {
 public:
  explicit RowReader(SQLite::Statement& row) : row_(row) {}

  std::int64_t integer() { return next().getInt64(); }
  bool boolean() { return next().getInt64() != 0; }
  std::string text() { return next().getString(); }
  UtcTime time() { return optional_time().value_or(UtcTime{}); }
  double number() { return optional_number().value_or(0); }

  std::optional<std::int64_t> optional_integer() {
    auto const column = next();
    return column.isNull() ? std::nullopt : std::optional<std::int64_t>(column.getInt64());
  }
  std::optional<double> optional_number() {
    auto const column = next();
    if (column.isNull() || !std::isfinite(column.getDouble())) return std::nullopt;
    return column.getDouble();
  }
  std::optional<bool> optional_boolean() {
    auto const column = next();
    return column.isNull() ? std::nullopt : std::optional<bool>(column.getInt64() != 0);
  }
  std::optional<std::string> optional_text() {
    auto const column = next();
    return column.isNull() ? std::nullopt : std::optional<std::string>(column.getString());
  }
  std::optional<UtcTime> optional_time() {
    auto const column = next();
    return column.isNull() ? std::nullopt : parse_database_text(column.getString());
  }

 private:
  SQLite::Column next() { return row_.getColumn(index_++); }

  SQLite::Statement& row_;
  int index_ = 0;
};

/// In the order of the columns behind cached_tokens.
template <class Row>
auto own_numbers(Row& row) {
  return std::array{&row.prefill_ms,          &row.prefill_tokens_per_second,
                    &row.decode_ms,           &row.decode_tokens_per_second,
                    &row.inter_token_mean_ms, &row.inter_token_p95_ms,
                    &row.inter_token_max_ms,  &row.engine_mem_mb,
                    &row.repetition_ratio};
}
constexpr std::array kOwnNumbers{":prefill_ms",   ":prefill_speed", ":decode_ms",
                                 ":decode_speed", ":gap_mean",      ":gap_p95",
                                 ":gap_max",      ":engine_mem",    ":repeated"};

std::optional<std::int64_t> as_integer(std::optional<bool> value) {
  return value ? std::optional<std::int64_t>(*value ? 1 : 0) : std::nullopt;
}

}  // namespace

std::string const& model_columns() {
  static std::string const columns =
      "id, model_name, hf_path, trust_remote_code, created_at, cache_location, cache_path, "
      "model_size_mb, "
      "parameter_count, model_type, architecture, default_dtype, context_length, mmlu_score, "
      "gpqa_score, "
      "hellaswag_score, humaneval_score, mbpp_score, math_score, truthfulqa_score, perplexity, "
      "max_throughput_tokens_sec, avg_latency_ms, quantization, total_loads, total_inferences, "
      "last_loaded, "
      "current_commit, current_version, last_updated, update_available, last_update_check, "
      "load_config, "
      "compatibility_status, compatibility_notes";
  return columns;
}

Model read_model(SQLite::Statement& row) {
  RowReader in(row);
  Model model;
  model.id = in.integer();
  model.model_name = in.text();
  model.hf_path = in.text();
  model.trust_remote_code = in.boolean();
  model.created_at = in.time();
  model.cache_location = in.text();
  model.cache_path = in.optional_text();
  model.model_size_mb = in.optional_number();
  model.parameter_count = in.optional_integer();
  model.model_type = in.optional_text();
  model.architecture = in.optional_text();
  model.default_dtype = in.optional_text();
  model.context_length = in.optional_integer();
  for (auto* score :
       {&model.mmlu_score, &model.gpqa_score, &model.hellaswag_score, &model.humaneval_score,
        &model.mbpp_score, &model.math_score, &model.truthfulqa_score, &model.perplexity,
        &model.max_throughput_tokens_sec, &model.avg_latency_ms})
    *score = in.optional_number();
  model.quantization = in.optional_text();
  model.total_loads = in.integer();
  model.total_inferences = in.integer();
  model.last_loaded = in.optional_time();
  model.current_commit = in.optional_text();
  model.current_version = in.optional_text();
  model.last_updated = in.optional_time();
  model.update_available = in.boolean();
  model.last_update_check = in.optional_time();
  model.load_config = in.optional_text();
  model.compatibility_status = in.optional_text();
  model.compatibility_notes = in.optional_text();
  return model;
}

std::string const& performance_columns() {
  static std::string const columns =
      "timestamp, model_registry_id, model_version, input_tokens, output_tokens, "
      "total_inference_ms, "
      "time_to_first_token_ms, tokens_per_second, gpu_mem_peak_alloc_mb, gpu_mem_reserved_mb, "
      "cpu_mem_rss_mb, gpu_utilization_percent, gpu_temperature_celsius, gpu_power_watts, "
      "cpu_utilization_percent, system_load_1min, temperature, "
      "top_p, top_k, "
      "do_sample, max_new_tokens, prompt_hash, repetition_detected, error_occurred, error_message, "
      "model_dtype, "
      "model_device, quantization, model_name, request_id, endpoint, streamed, error_code, "
      "queue_wait_ms, cached_tokens, prefill_ms, prefill_tokens_per_second, decode_ms, "
      "decode_tokens_per_second, inter_token_mean_ms, inter_token_p95_ms, inter_token_max_ms, "
      "engine_mem_mb, repetition_ratio, engine_version, parameters";
  return columns;
}

PerformanceRow read_performance(SQLite::Statement& row) {
  RowReader in(row);
  PerformanceRow out;
  out.id = in.integer();
  out.timestamp = in.time();
  out.model_registry_id = in.optional_integer();
  out.model_version = in.optional_text();
  out.input_tokens = in.integer();
  out.output_tokens = in.integer();
  out.total_inference_ms = in.number();
  out.time_to_first_token_ms = in.optional_number();
  out.tokens_per_second = in.optional_number();
  for (auto* number : {&out.gpu_mem_peak_alloc_mb, &out.gpu_mem_reserved_mb, &out.cpu_mem_rss_mb,
                       &out.gpu_utilization_percent, &out.gpu_temperature_celsius,
                       &out.gpu_power_watts, &out.cpu_utilization_percent})
    *number = in.optional_number();
  out.system_load_1min = in.optional_number();
  out.temperature = in.optional_number();
  out.top_p = in.optional_number();
  out.top_k = in.optional_integer();
  out.do_sample = in.boolean();
  out.max_new_tokens = in.optional_integer();
  out.prompt_hash = in.optional_text();
  out.repetition_detected = in.optional_boolean();
  out.error_occurred = in.boolean();
  out.error_message = in.optional_text();
  out.model_dtype = in.optional_text();
  out.model_device = in.optional_text();
  out.quantization = in.optional_text();
  out.model_name = in.optional_text();
  out.request_id = in.optional_text();
  out.endpoint = in.optional_text();
  out.streamed = in.optional_boolean();
  out.error_code = in.optional_text();
  out.queue_wait_ms = in.optional_number();
  out.cached_tokens = in.optional_integer();
  for (auto* number : own_numbers(out)) *number = in.optional_number();
  out.engine_version = in.optional_text();
  out.parameters = in.optional_text();
  return out;
}

PerformanceSummary read_summary(SQLite::Statement& row) {
  RowReader in(row);
  PerformanceSummary out;
  out.generations = in.integer();
  for (auto* number : {&out.avg_input_tokens, &out.avg_output_tokens, &out.avg_inference_ms,
                       &out.avg_tokens_per_second})
    *number = in.number();
  out.avg_gpu_mem_mb = in.optional_number();
  out.avg_cpu_mem_mb = in.optional_number();
  return out;
}

std::string const& performance_insert() {
  static std::string const insert =
      "INSERT INTO performancelog (" + performance_columns() +
      ", total_tokens) VALUES ("
      ":timestamp, (SELECT id FROM modelregistry WHERE id = :model), :version, :input, "
      ":output, :total_ms, :ttft_ms, :speed, :gpu_peak, :gpu_reserved, :rss, "
      ":gpu_use, :gpu_celsius, :gpu_watts, :cpu_use, :load, :temperature, :top_p, :top_k, "
      ":sample, :max_new, :hash, :repetition, :error, :message, :dtype, :device, "
      ":quantization, :name, :request, :endpoint, :streamed, :code, :queue_ms, :cached, "
      ":prefill_ms, :prefill_speed, :decode_ms, :decode_speed, :gap_mean, :gap_p95, :gap_max, "
      ":engine_mem, :repeated, :engine_version, :parameters, :input + :output)";
  return insert;
}

namespace {

void bind_own_columns(SQLite::Statement& insert, PerformanceRow const& row) {
  bind_optional(insert, ":name", row.model_name);
  bind_optional(insert, ":request", row.request_id);
  bind_optional(insert, ":endpoint", row.endpoint);
  bind_optional(insert, ":streamed", as_integer(row.streamed));
  bind_optional(insert, ":code", row.error_code);
  bind_optional(insert, ":queue_ms", row.queue_wait_ms);
  bind_optional(insert, ":cached", row.cached_tokens);
  auto const numbers = own_numbers(row);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    bind_optional(insert, kOwnNumbers[i], *numbers[i]);
  bind_optional(insert, ":engine_version", row.engine_version);
  bind_optional(insert, ":parameters", row.parameters);
}

}  // namespace

void bind_performance(SQLite::Statement& insert, PerformanceRow const& row) {
  insert.bind(":timestamp", to_database_text(row.timestamp));
  bind_optional(insert, ":model", row.model_registry_id);
  bind_optional(insert, ":version", row.model_version);
  insert.bind(":input", row.input_tokens);
  insert.bind(":output", row.output_tokens);
  insert.bind(":total_ms", std::isfinite(row.total_inference_ms) ? row.total_inference_ms : 0.0);
  bind_optional(insert, ":ttft_ms", row.time_to_first_token_ms);
  bind_optional(insert, ":speed", row.tokens_per_second);
  bind_optional(insert, ":gpu_peak", row.gpu_mem_peak_alloc_mb);
  bind_optional(insert, ":gpu_reserved", row.gpu_mem_reserved_mb);
  bind_optional(insert, ":rss", row.cpu_mem_rss_mb);
  bind_optional(insert, ":gpu_use", row.gpu_utilization_percent);
  bind_optional(insert, ":gpu_celsius", row.gpu_temperature_celsius);
  bind_optional(insert, ":gpu_watts", row.gpu_power_watts);
  bind_optional(insert, ":cpu_use", row.cpu_utilization_percent);
  bind_optional(insert, ":load", row.system_load_1min);
  bind_optional(insert, ":temperature", row.temperature);
  bind_optional(insert, ":top_p", row.top_p);
  bind_optional(insert, ":top_k", row.top_k);
  insert.bind(":sample", row.do_sample ? 1 : 0);
  bind_optional(insert, ":max_new", row.max_new_tokens);
  bind_optional(insert, ":hash", row.prompt_hash);
  bind_optional(insert, ":repetition", as_integer(row.repetition_detected));
  insert.bind(":error", row.error_occurred ? 1 : 0);
  bind_optional(insert, ":message", row.error_message);
  bind_optional(insert, ":dtype", row.model_dtype);
  bind_optional(insert, ":device", row.model_device);
  bind_optional(insert, ":quantization", row.quantization);
  bind_own_columns(insert, row);
}

void bind_optional(SQLite::Statement& statement, char const* name,
                   std::optional<std::string> const& value) {
  if (value)
    statement.bind(name, *value);
  else
    statement.bind(name);
}

void bind_optional(SQLite::Statement& statement, char const* name,
                   std::optional<std::int64_t> value) {
  if (value)
    statement.bind(name, *value);
  else
    statement.bind(name);
}

void bind_optional(SQLite::Statement& statement, char const* name, std::optional<double> value) {
  if (value && std::isfinite(*value))
    statement.bind(name, *value);
  else
    statement.bind(name);
}

}  // namespace homelab::registry
