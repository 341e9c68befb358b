#pragma once
// SentencePiece's BPE with byte fallback (llama 1 and 2, mistral v1-v3, mixtral, gemma, phi-3):
// from a tokenizer.model, or from a tokenizer.json that was made of one.
#include "base/json.h"
#include "base/result.h"
#include "loader/tokenizer.h"

namespace homelab::loader {

/// From tokenizer.json; `model` is its member "model". llama.cpp merges the pair whose result has
/// the highest score, the reference the pair that stands first in a list; the scores are made from
/// the list, and it is checked that both choose the same. Fills everything but special tokens and
/// chat templates, and `vocabulary`. Errors: kUnimplemented (what would give other tokens, named),
/// kInvalidArgument.
[[nodiscard]] Status read_sentencepiece_json(json::object const& tokenizer,
                                             json::object const& model, Vocabulary& vocabulary,
                                             Tokenizer& result);

/// From the bytes of a tokenizer.model and the added tokens in tokenizer_config.json
/// ("added_tokens_decoder") and added_tokens.json. The reference is the sentencepiece library.
[[nodiscard]] Status read_sentencepiece_model(std::string_view bytes,
                                              json::object const& tokenizer_config,
                                              json::object const& added_tokens,
                                              Vocabulary& vocabulary, Tokenizer& result);

}  // namespace homelab::loader
