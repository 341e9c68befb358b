#pragma once
// tokenizer.json or tokenizer.model, and the files beside them, as llama.cpp wants them.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "loader/chat_template.h"
#include "loader/special_tokens.h"
#include "loader/text_rules.h"
#include "loader/vocabulary.h"

namespace homelab::loader {

enum class TokenizerKind { kByteLevelBpe, kSentencePiece };

struct Tokenizer {
  TokenizerKind kind = TokenizerKind::kByteLevelBpe;
  std::vector<std::string> tokens;
  std::vector<TokenType> types;
  std::string pre;                  ///< byte-level: llama.cpp's name of the pre-tokenizer
  std::vector<std::string> merges;  ///< byte-level: "left right", the first one first
  std::vector<float> scores;        ///< SentencePiece: the pair with the highest is merged first
  bool add_space_prefix = false;    ///< SentencePiece: llama.cpp puts it in front of every part
  /// What must be done to texts before llama.cpp gets them; nullptr if nothing.
  std::shared_ptr<TextRules const> rules;
  SpecialTokens special;
  std::vector<ChatTemplate> chat_templates;
};

/// `rows` is the number of embedding rows: ids above the vocabulary become unused tokens. `config`
/// is config.json, where special ids may stand. Errors: kUnimplemented for a tokenizer that would
/// give other tokens in llama.cpp (names what), kInvalidArgument for a broken one, kNotFound when
/// there is neither tokenizer.json nor tokenizer.model.
[[nodiscard]] Result<Tokenizer> read_tokenizer(std::filesystem::path const& folder,
                                               json::object const& config, std::uint32_t rows);

}  // namespace homelab::loader
