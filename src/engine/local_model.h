#pragma once
// Models that are registered as a local folder or file instead of a repository.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::engine {

/// True for "/...", "~/...", "./..." and "../...": never a repository id.
[[nodiscard]] bool is_local_path(std::string_view hf_path);

struct LocalModel {
  cache::Path model_path;  ///< what the engine opens: a .gguf file or a folder with safetensors
  std::uint64_t total_bytes = 0;  ///< of the model's files
};
/// kNotFound when nothing is there; kInvalidArgument when it is no model (the message says what was
/// expected).
[[nodiscard]] Result<LocalModel> find_local_model(std::string_view hf_path);

}  // namespace homelab::engine
