#pragma once
// The one place where the core's way of tokenizing is changed: its calls of llama_tokenize come to
// ours, which treats the texts of some safetensors models first (loader/text_rules.h).
#include <llama.h>

#include <memory>

#include "loader/text_rules.h"

namespace homelab::engine_process {

/// From now on texts for this vocabulary are treated by `rules`; nullptr: as the library does it.
/// Call it for every model that was loaded, since a vocabulary may lie where a freed one lay. Safe
/// in every thread.
void set_text_rules(llama_vocab const* vocabulary, std::shared_ptr<loader::TextRules const> rules);

}  // namespace homelab::engine_process
