#pragma once
// The one place where the core's way of loading a model is changed: its calls of
// llama_model_load_from_file come to ours, which also takes a Hugging Face snapshot folder.
#include <string>

#include "base/result.h"
#include "loader/model_plan.h"

namespace homelab::engine_process {

/// What the weights of every folder that is loaded from now on become. A GGUF stays as it is.
void set_load_quantisation(loader::Quantisation quantisation);

/// Checks that `path` can be what a model is loaded from: a file, or a folder for which a plan can
/// be made. The plan is kept for the loads that follow. Errors name the path and what would work;
/// with a quantisation set, a file is one.
[[nodiscard]] Status prepare_model(std::string const& path);

/// Why the last load failed, in one line; empty when none failed.
[[nodiscard]] std::string last_load_error();

}  // namespace homelab::engine_process
