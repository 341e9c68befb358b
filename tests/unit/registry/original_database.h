#pragma once
// models.db files as the original program made them: its tables' text as its database layer emits
// it, local times.
#include <SQLiteCpp/SQLiteCpp.h>

#include <ctime>
#include <filesystem>
#include <string>

namespace homelab::registry::test {

/// The table of the last version.
inline constexpr char const* kNewestModels = R"sql(
CREATE TABLE modelregistry (
	id INTEGER NOT NULL,
	model_name VARCHAR NOT NULL,
	hf_path VARCHAR NOT NULL,
	trust_remote_code BOOLEAN NOT NULL,
	created_at DATETIME NOT NULL,
	cache_location VARCHAR NOT NULL,
	cache_path VARCHAR,
	model_size_mb FLOAT,
	parameter_count INTEGER,
	model_type VARCHAR,
	architecture VARCHAR,
	default_dtype VARCHAR,
	context_length INTEGER,
	mmlu_score FLOAT,
	gpqa_score FLOAT,
	hellaswag_score FLOAT,
	humaneval_score FLOAT,
	mbpp_score FLOAT,
	math_score FLOAT,
	truthfulqa_score FLOAT,
	perplexity FLOAT,
	max_throughput_tokens_sec FLOAT,
	avg_latency_ms FLOAT,
	quantization VARCHAR,
	total_loads INTEGER NOT NULL,
	total_inferences INTEGER NOT NULL,
	last_loaded DATETIME,
	current_commit VARCHAR,
	current_version VARCHAR,
	last_updated DATETIME,
	update_available BOOLEAN NOT NULL,
	last_update_check DATETIME,
	load_config VARCHAR,
	compatibility_status VARCHAR,
	compatibility_notes VARCHAR,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ix_modelregistry_model_name ON modelregistry (model_name);
)sql";

inline constexpr char const* kNewestLog = R"sql(
CREATE TABLE performancelog (
	id INTEGER NOT NULL,
	timestamp DATETIME NOT NULL,
	model_registry_id INTEGER,
	model_version VARCHAR,
	input_tokens INTEGER NOT NULL,
	output_tokens INTEGER NOT NULL,
	total_tokens INTEGER NOT NULL,
	total_inference_ms FLOAT NOT NULL,
	time_to_first_token_ms FLOAT,
	tokens_per_second FLOAT,
	gpu_mem_peak_alloc_mb FLOAT,
	gpu_mem_reserved_mb FLOAT,
	cpu_mem_rss_mb FLOAT,
	gpu_utilization_percent FLOAT,
	gpu_temperature_celsius FLOAT,
	gpu_power_watts FLOAT,
	cpu_utilization_percent FLOAT,
	system_load_1min FLOAT,
	temperature FLOAT,
	top_p FLOAT,
	top_k INTEGER,
	do_sample BOOLEAN NOT NULL,
	max_new_tokens INTEGER,
	prompt_hash VARCHAR,
	repetition_detected BOOLEAN,
	error_occurred BOOLEAN NOT NULL,
	error_message VARCHAR,
	model_dtype VARCHAR,
	model_device VARCHAR,
	quantization VARCHAR,
	PRIMARY KEY (id),
	FOREIGN KEY(model_registry_id) REFERENCES modelregistry (id)
);
)sql";

/// The first version: before benchmarks, cache locations, revisions and compatibility.
inline constexpr char const* kOldestModels = R"sql(
CREATE TABLE modelregistry (
	id INTEGER NOT NULL,
	model_name VARCHAR NOT NULL,
	hf_path VARCHAR NOT NULL,
	trust_remote_code BOOLEAN NOT NULL,
	created_at DATETIME NOT NULL,
	PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ix_modelregistry_model_name ON modelregistry (model_name);
)sql";

inline constexpr char const* kOldestLog = R"sql(
CREATE TABLE performancelog (
	id INTEGER NOT NULL,
	timestamp DATETIME NOT NULL,
	model_registry_id INTEGER,
	input_tokens INTEGER NOT NULL,
	output_tokens INTEGER NOT NULL,
	total_tokens INTEGER NOT NULL,
	total_inference_ms FLOAT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(model_registry_id) REFERENCES modelregistry (id)
);
)sql";

inline SQLite::Database make_database(std::filesystem::path const& file) {
  return {file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE};
}

inline void make_newest_original(std::filesystem::path const& file) {
  SQLite::Database database = make_database(file);
  database.exec(kNewestModels);
  database.exec(kNewestLog);
  database.exec(R"sql(
INSERT INTO modelregistry (id, model_name, hf_path, trust_remote_code, created_at, cache_location, cache_path,
    model_size_mb, parameter_count, model_type, architecture, default_dtype, context_length, mmlu_score, quantization,
    total_loads, total_inferences, last_loaded, current_commit, current_version, last_updated, update_available,
    last_update_check, load_config, compatibility_status, compatibility_notes) VALUES
  (1, 'qwen-3b', 'Qwen/Qwen2.5-3B-Instruct', 0, '2025-11-16 17:43:12.445678', 'primary', '/srv/hf-cache', 5896.9,
   3085938688, 'Qwen2ForCausalLM', 'qwen2', 'torch.bfloat16', 32768, 72.5, 'GPTQ 4-bit', 7, 2,
   '2025-11-17 01:00:00.000000', 'aa8e72537993ba99e69dfaafa59ed015b17504d1', 'main', '2025-07-01 12:00:00.000001', 1,
   NULL, '{"torch_dtype":"float16"}', 'compatible', NULL),
  (3, 'Tiny qwen (King Nish)', 'KingNish/Qwen2.5-0.5b', 1, '2025-11-16 18:00:00.000000', 'custom', '/mnt/x y', NULL, NULL,
   NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, 0, NULL, NULL, 'testing', 'old remark');
INSERT INTO performancelog (id, timestamp, model_registry_id, input_tokens, output_tokens, total_tokens,
    total_inference_ms, gpu_power_watts, do_sample, error_occurred) VALUES
  (1, '2025-11-16 17:50:00.000000', 1, 10, 20, 30, 1234.5, 81.5, 1, 0),
  (2, '2025-11-16 17:51:00.000000', NULL, 1, 2, 3, 4.5, NULL, 0, 0),
  (3, '2025-11-16 17:52:00.000000', 2, 7, 8, 15, 9.5, NULL, 1, 0);
)sql");
}

inline void make_oldest_original(std::filesystem::path const& file) {
  SQLite::Database database = make_database(file);
  database.exec(kOldestModels);
  database.exec(kOldestLog);
  database.exec(R"sql(
INSERT INTO modelregistry VALUES (1, ' gemma ', 'google / gemma-3-270m-it', 0, '2025-11-15 10:00:00.250000');
INSERT INTO modelregistry VALUES (2, 'phi', 'microsoft/Phi-3-mini-4k-instruct', 1, '2025-11-15 11:00:00.000000');
INSERT INTO performancelog VALUES (1, '2025-11-15 10:30:00.000000', 1, 5, 6, 11, 100.5);
)sql");
}

/// Central European time while it lives.
class CentralEurope {
 public:
  CentralEurope() {
    if (char const* zone = std::getenv("TZ")) before_ = zone;
    set("CET-1CEST,M3.5.0,M10.5.0/3");
  }
  ~CentralEurope() {
    if (before_.empty())
      ::unsetenv("TZ");
    else
      ::setenv("TZ", before_.c_str(), 1);
    ::tzset();
  }
  CentralEurope(CentralEurope const&) = delete;
  CentralEurope& operator=(CentralEurope const&) = delete;

 private:
  static void set(char const* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
  std::string before_;
};

}  // namespace homelab::registry::test
