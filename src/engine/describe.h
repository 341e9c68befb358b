#pragma once
// What a model is and where it will run, asked from the engine program (`homelab-llm-engine
// describe PATH`, `version`).
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::engine {

struct ModelFacts {
  std::optional<std::int64_t> parameter_count;
  std::optional<std::string> model_type;
  std::optional<std::string> architecture;
  std::optional<std::string> default_dtype;
  std::optional<std::int64_t> context_length;
  std::uint64_t weight_bytes = 0;        ///< of the tensors; 0 = unknown
  std::uint64_t kv_bytes_per_token = 0;  ///< keys and values of all layers; 0 = unknown
  std::uint64_t vocabulary_size = 0;
  std::string purpose;         ///< "embedding", "rerank", or empty for generating text
  std::string engine_version;  ///< of llama.cpp in the program; may be empty
};

/// Reads the program's JSON line out of its output (log lines around it are skipped). kDataLoss
/// when there is none.
[[nodiscard]] Result<ModelFacts> parse_description(std::string_view output);

/// Runs the program; its output goes through `scratch_file`, which is removed afterwards. `crashed`
/// becomes true when a signal ended the program. Errors: kUnimplemented with the program's own
/// reason, kDataLoss after a crash, kDeadlineExceeded after two minutes, kCancelled.
struct Description {
  Result<ModelFacts> facts;
  bool crashed = false;
};
[[nodiscard]] Description describe_model(cache::Path const& program, cache::Path const& model_path,
                                         cache::Path const& scratch_file,
                                         std::function<bool()> const& cancelled,
                                         bool sandbox = true);

/// "cuda:0" for the first device of the version's JSON line that is no processor ("CUDA0"), else
/// "cpu".
[[nodiscard]] Result<std::string> parse_device(std::string_view output);

/// Asks the program for its devices; errors as above.
[[nodiscard]] Result<std::string> find_device(cache::Path const& program,
                                              cache::Path const& scratch_file,
                                              std::function<bool()> const& cancelled);

}  // namespace homelab::engine
