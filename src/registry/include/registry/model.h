#pragma once
// Rows of the registry as values (contract §3.1, §3.2: the original's two tables, column for
// column).
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace homelab::registry {

/// One registered model: a row of `modelregistry`.
struct Model {
  std::int64_t id = 0;
  std::string model_name;
  std::string hf_path;             ///< "org/name", "org/name:Q4_1" or a local folder/file
  bool trust_remote_code = false;  ///< stored and shown, never obeyed
  UtcTime created_at{};
  std::string cache_location = "primary";
  std::optional<std::string> cache_path;
  std::optional<double> model_size_mb;  ///< MiB of this model's files
  std::optional<std::int64_t> parameter_count;
  std::optional<std::string> model_type;  ///< class name
  std::optional<std::string> architecture;
  std::optional<std::string> default_dtype;  ///< "torch.bfloat16" or a GGUF type name
  std::optional<std::int64_t> context_length;
  std::optional<double> mmlu_score, gpqa_score, hellaswag_score, humaneval_score, mbpp_score,
      math_score, truthfulqa_score, perplexity;
  std::optional<double> max_throughput_tokens_sec, avg_latency_ms;
  std::optional<std::string> quantization;
  std::int64_t total_loads = 0;
  std::int64_t total_inferences = 0;
  std::optional<UtcTime> last_loaded;
  std::optional<std::string> current_commit;
  std::optional<std::string> current_version;
  std::optional<UtcTime> last_updated;
  bool update_available = false;
  std::optional<UtcTime> last_update_check;
  std::optional<std::string> load_config;  ///< JSON text
  std::optional<std::string>
      compatibility_status;  ///< unknown, testing, compatible, incompatible, degraded or null
  std::optional<std::string> compatibility_notes;
};

/// What registration writes; everything else has the column's default.
struct NewModel {
  std::string model_name;
  std::string hf_path;
  bool trust_remote_code = false;
  std::string cache_location = "primary";
  std::optional<std::string> cache_path;
  std::optional<std::string> load_config = {};  ///< JSON text
};

/// Where the files of some models stand now, in the words of a registration.
struct Relocation {
  std::vector<std::string> model_names;
  std::string cache_location;
  std::optional<std::string> cache_path;
};

/// What the owner of a model says about it; members that are not set stay as they are.
struct ConfigChange {
  std::optional<std::optional<std::string>> load_config;
  std::optional<std::optional<std::string>> compatibility_status;
  std::optional<std::optional<std::string>> compatibility_notes;
};

/// Numbers that the owner noted about a model; members that are not set stay as they are, an inner
/// nullopt clears.
struct MetadataChange {
  using Number = std::optional<std::optional<double>>;
  Number mmlu_score, gpqa_score, hellaswag_score, humaneval_score, mbpp_score, math_score,
      truthfulqa_score, perplexity;
  Number max_throughput_tokens_sec, avg_latency_ms;
  std::optional<std::optional<std::string>> quantization;
};

/// What a successful load learns about a model.
struct LoadFacts {
  std::optional<double> model_size_mb;
  std::optional<std::int64_t> parameter_count;
  std::optional<std::string> model_type;
  std::optional<std::string> architecture;
  std::optional<std::string> default_dtype;
  std::optional<std::int64_t> context_length;
  std::optional<std::string> commit;   ///< the commit actually loaded
  std::optional<std::string> version;  ///< revision name, "main"
};

/// One run of a model: a row of `performancelog`. Memory in MiB, times in ms.
struct PerformanceRow {
  std::int64_t id = 0;  ///< given by the database
  UtcTime timestamp{};
  std::optional<std::int64_t> model_registry_id;
  std::optional<std::string> model_version;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  double total_inference_ms = 0;
  std::optional<double> time_to_first_token_ms;
  std::optional<double> tokens_per_second;
  std::optional<double> gpu_mem_peak_alloc_mb, gpu_mem_reserved_mb;
  std::optional<double> cpu_mem_rss_mb;
  std::optional<double> gpu_utilization_percent, gpu_temperature_celsius, gpu_power_watts;
  std::optional<double> cpu_utilization_percent;
  std::optional<double> system_load_1min;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<std::int64_t> top_k;
  bool do_sample = true;
  std::optional<std::int64_t> max_new_tokens;
  std::optional<std::string> prompt_hash;
  std::optional<bool> repetition_detected;
  bool error_occurred = false;
  std::optional<std::string> error_message;
  std::optional<std::string> model_dtype;
  std::optional<std::string> model_device;
  std::optional<std::string> quantization;
  // From here on beside the original's columns.
  std::optional<std::string> model_name = {};  ///< stays when the model's row goes
  std::optional<std::string> request_id = {};
  std::optional<std::string> endpoint = {};  ///< what the client called
  std::optional<bool> streamed = {};
  std::optional<std::string> error_code = {};      ///< "cancelled", "unavailable", ...
  std::optional<double> queue_wait_ms = {};        ///< from the request to its begin on the engine
  std::optional<std::int64_t> cached_tokens = {};  ///< of the prompt, that were not computed again
  std::optional<double> prefill_ms = {}, prefill_tokens_per_second = {};  ///< of the other ones
  std::optional<double> decode_ms = {}, decode_tokens_per_second = {};
  std::optional<double> inter_token_mean_ms = {}, inter_token_p95_ms = {}, inter_token_max_ms = {};
  std::optional<double> engine_mem_mb = {};
  std::optional<double> repetition_ratio = {};  ///< of the words, where the text is known
  std::optional<std::string> engine_version = {};
  std::optional<std::string> parameters = {};  ///< JSON object: what the request asked for
};

/// Averages over the generations of one model that succeeded.
struct PerformanceSummary {
  std::int64_t generations = 0;  ///< 0: there are no averages
  double avg_input_tokens = 0;
  double avg_output_tokens = 0;
  double avg_inference_ms = 0;
  double avg_tokens_per_second = 0;  ///< a generation whose speed is unknown counts as 0
  std::optional<double> avg_gpu_mem_mb, avg_cpu_mem_mb;  ///< over those where it is known
};

}  // namespace homelab::registry
