#pragma once
// Byte-level BPE (gpt-2 and its descendants) from a tokenizer.json.
#include "base/json.h"
#include "base/result.h"
#include "loader/tokenizer.h"

namespace homelab::loader {

/// Fills kind, pre, tokens, types and merges. `model` is the member "model" of `tokenizer`. Errors:
/// kUnimplemented for what llama.cpp does not do in the same way (named), kInvalidArgument.
[[nodiscard]] Status read_byte_level_bpe(json::object const& tokenizer, json::object const& model,
                                         Vocabulary& vocabulary, Tokenizer& result);

}  // namespace homelab::loader
