#pragma once
#include <filesystem>

#include "base/json.h"
#include "base/result.h"

namespace homelab::engine_process {

/// What a model is, from its headers alone (no weights, no back ends): format, architecture,
/// model_type, parameter_count, default_dtype, context_length, vocab_size, tensor_bytes, layers,
/// chat_template, name, loadable and, when it is not loadable, reason. `path` is a .gguf file
/// (first shard of a split one) or a snapshot folder. Errors: what is missing or damaged.
[[nodiscard]] Result<json::object> describe(std::filesystem::path const& path);

}  // namespace homelab::engine_process
