#pragma once
// Which tokens begin and end a text, and which end a generation.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "loader/vocabulary.h"

namespace homelab::loader {

/// Where special tokens may be named. Without a tokenizer.json, `tokenizer` is empty.
struct SpecialSources {
  json::object const& tokenizer;
  json::object const& tokenizer_config;
  json::object const& config;
  json::object const& generation_config;
};

struct SpecialTokens {
  std::optional<std::uint32_t> bos, unk, pad;
  std::uint32_t eos = 0;
  /// Further ids that end a generation, as generation_config.json (or config.json) lists them.
  std::optional<std::uint32_t> end_of_turn, end_of_message;
  bool add_bos = false;  ///< in front of every text
  bool add_eos = false;
};

/// Names in tokenizer_config.json come first, then ids in config.json, then generation_config.json.
/// `adds_bos` is what the tokenizer does when no file says it. Errors: kInvalidArgument when no end
/// of sequence is named (it is not guessed), kUnimplemented for a template that adds other tokens
/// and for more ends of generation than llama.cpp can be told.
[[nodiscard]] Result<SpecialTokens> find_special_tokens(SpecialSources const& from,
                                                        Vocabulary const& vocabulary,
                                                        bool adds_bos);

/// True if llama.cpp makes an ordinary token with such a name one that is looked for in texts: an
/// end of a generation, or a mark for filling in the middle. The reference does so only with added
/// tokens; "</s>" for example is ordinary in qwen's vocabulary.
[[nodiscard]] bool has_name_made_special(Vocabulary const& vocabulary);

}  // namespace homelab::loader
