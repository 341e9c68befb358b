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

}  // namespace

std::string prompt_hash(std::string_view prompt) { return sha256_hex(prompt).substr(0, 16); }

registry::PerformanceRow performance_row(LoadedEngine const& engine,
                                         GenerationRecord const& record) {
  registry::PerformanceRow row;
  row.timestamp = utc_now();
  row.model_registry_id = engine.info.id;
  if (!engine.info.commit.empty()) row.model_version = engine.info.commit;
  row.input_tokens = record.stats.input_tokens;
  row.output_tokens = record.stats.output_tokens;
  row.total_inference_ms = record.stats.inference_ms;
  row.time_to_first_token_ms = record.stats.ttft_ms;
  row.tokens_per_second = record.stats.tokens_per_second();
  auto const engine_bytes = memory_of(engine).total();
  auto const own_bytes = os::resident_bytes(::getpid()).value_or(0);
  row.cpu_mem_rss_mb = static_cast<double>(engine_bytes + own_bytes) / kMebibyte;
  row.system_load_1min = os::load_average();
  row.temperature = record.request.temperature;
  row.top_p = record.request.top_p;
  if (!is_greedy(record.request) && !engine.remote) row.top_k = kTopK;
  row.do_sample = record.request.do_sample;
  row.max_new_tokens = record.request.max_tokens;
  row.prompt_hash = prompt_hash(record.request.prompt);
  row.model_dtype = engine.info.dtype;
  row.model_device = engine.info.device;
  row.quantization = engine.quantization;
  if (record.error) {
    row.error_occurred = true;
    row.error_message = record.error->message.substr(0, kErrorLimitBytes);
  } else {
    row.repetition_detected = registry::is_repetitive(record.text);
  }
  return row;
}

}  // namespace homelab::engine
