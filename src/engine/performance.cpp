#include "performance.h"

#include <unistd.h>

#include "base/hash.h"
#include "base/os/events.h"
#include "base/os/process.h"
#include "completion.h"
#include "registry/compatibility.h"

namespace homelab::engine {
namespace {

constexpr std::size_t kErrorLimitBytes = 1000;
constexpr double kMebibyte = 1024.0 * 1024.0;
constexpr double kNinetyFive = 0.95;

std::optional<std::string> unless_empty(std::string const& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

/// Without splitting a character.
std::string cut(std::string_view text) {
  if (text.size() <= kErrorLimitBytes) return std::string(text);
  std::size_t end = kErrorLimitBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end));
}

void add_model(registry::PerformanceRow& row, LoadedEngine const& engine) {
  row.model_registry_id = engine.info.id;
  row.model_name = engine.info.name;
  row.model_version = unless_empty(engine.info.commit);
  row.model_dtype = engine.info.dtype;
  row.model_device = engine.info.device;
  row.quantization = engine.quantization;
  row.engine_version = unless_empty(engine.version);
}

void add_label(registry::PerformanceRow& row, RunLabel const& label) {
  row.endpoint = unless_empty(label.endpoint);
  row.request_id = unless_empty(label.request_id);
  row.streamed = label.streamed;
  row.prompt_hash = unless_empty(label.prompt_hash);
  row.parameters = unless_empty(label.parameters);
  row.temperature = label.temperature;
  row.top_p = label.top_p;
  row.top_k = label.top_k;
  row.max_new_tokens = label.max_new_tokens;
  row.do_sample = label.temperature.value_or(1) > 0;
}

void add_report(registry::PerformanceRow& row, EngineReport const& report) {
  row.input_tokens = report.input_tokens.value_or(0);
  row.output_tokens = report.output_tokens.value_or(0);
  row.cached_tokens = report.cached_tokens;
  row.prefill_ms = report.prefill_ms;
  row.decode_ms = report.decode_ms;
  row.prefill_tokens_per_second = report.prefill_tokens_per_second;
  row.decode_tokens_per_second = report.decode_tokens_per_second;
}

/// Engines that do not say how fast they were are judged by their pieces.
void add_times(registry::PerformanceRow& row, RunRecord const& record) {
  constexpr double kMsPerSecond = 1000;
  row.total_inference_ms = record.total_ms;
  row.queue_wait_ms = record.queue_wait_ms;
  row.time_to_first_token_ms = record.ttft_ms;
  if (row.output_tokens > 0 && record.total_ms > 0)
    row.tokens_per_second = static_cast<double>(row.output_tokens) * kMsPerSecond / record.total_ms;
  if (record.gaps == nullptr) return;
  row.inter_token_mean_ms = record.gaps->mean();
  row.inter_token_p95_ms = record.gaps->quantile(kNinetyFive);
  row.inter_token_max_ms = record.gaps->max();
  bool const timed = row.output_tokens > 1 && record.ttft_ms && record.total_ms > *record.ttft_ms;
  if (!row.decode_tokens_per_second && timed)
    row.decode_tokens_per_second = static_cast<double>(row.output_tokens - 1) * kMsPerSecond /
                                   (record.total_ms - *record.ttft_ms);
}

void add_surroundings(registry::PerformanceRow& row, LoadedEngine const& engine) {
  auto const engine_bytes = memory_of(engine).total();
  auto const own_bytes = os::resident_bytes(::getpid()).value_or(0);
  row.cpu_mem_rss_mb = static_cast<double>(engine_bytes + own_bytes) / kMebibyte;
  if (engine_bytes > 0) row.engine_mem_mb = static_cast<double>(engine_bytes) / kMebibyte;
  row.system_load_1min = os::load_average();
}

}  // namespace

std::string prompt_hash(std::string_view prompt) { return sha256_hex(prompt).substr(0, 16); }

registry::PerformanceRow performance_row(LoadedEngine const& engine, RunRecord const& record) {
  registry::PerformanceRow row;
  row.timestamp = utc_now();
  add_model(row, engine);
  if (record.label != nullptr) add_label(row, *record.label);
  add_report(row, record.report);
  add_times(row, record);
  add_surroundings(row, engine);
  if (record.error) {
    row.error_occurred = true;
    row.error_code = std::string(to_string(record.error->code));
    row.error_message = cut(record.error->message);
  }
  return row;
}

registry::PerformanceRow generation_row(LoadedEngine const& engine, RunRecord record,
                                        GenerationRecord const& generation) {
  auto const& [request, stats, text] = generation;
  record.report.input_tokens = stats.input_tokens;
  record.report.output_tokens = stats.output_tokens;
  record.label = &request.label;
  record.total_ms = stats.inference_ms;
  record.ttft_ms = stats.ttft_ms;
  auto row = performance_row(engine, record);
  if (!row.endpoint) row.endpoint = "/api/generate";
  row.tokens_per_second = stats.tokens_per_second();
  row.temperature = request.temperature;
  row.top_p = request.top_p;
  if (!row.top_k && !engine.remote) row.top_k = top_k_of(request);
  row.do_sample = request.do_sample;
  row.max_new_tokens = request.max_tokens;
  row.prompt_hash = prompt_hash(request.prompt);
  row.repetition_ratio = registry::repetition_ratio(text);
  if (!record.error) row.repetition_detected = registry::is_repetitive(text);
  return row;
}

}  // namespace homelab::engine
