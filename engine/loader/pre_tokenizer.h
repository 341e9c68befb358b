#pragma once
// Which of llama.cpp's pre-tokenizers does what a tokenizer.json asks for.
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace homelab::loader {

struct PreTokenizer {
  std::string_view name;  ///< value of tokenizer.ggml.pre
};

/// Compares the steps of "normalizer" and "pre_tokenizer" with those known to be the same in
/// llama.cpp (each checked against the reference tokenizer by a test). Never guesses: errors
/// (kUnimplemented) name the steps.
[[nodiscard]] Result<PreTokenizer> match_pre_tokenizer(json::object const& tokenizer);

}  // namespace homelab::loader
