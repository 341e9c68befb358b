#pragma once
// From the command line to the parameters of llama-server's core, with what an engine of ours must
// not do refused.
#include <common.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace homelab::engine_process {

/// Number of threads when the command line names none: one less than the processors this process
/// may use, at least 1 (ggml's threads spin: as many threads as cores are slower than one fewer
/// whenever anything else runs).
[[nodiscard]] int default_threads();

/// Removes the environment variables through which llama.cpp would take settings or credentials
/// that are not on the command line (LLAMA_*, AIP_*, HF_*) and sets those every engine has
/// (GGML_NO_BACKTRACE=1). Call before any thread.
void settle_environment();

/// Parses llama-server's arguments (without the program's name). Exactly one local model is
/// required; everything that would download, serve a web page or start further servers is refused
/// or switched off. Errors: kInvalidArgument with llama.cpp's own reason.
[[nodiscard]] Result<common_params> parse_core_arguments(std::vector<std::string> const& arguments);

}  // namespace homelab::engine_process
