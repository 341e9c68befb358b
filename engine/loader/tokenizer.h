#pragma once
// tokenizer.json, tokenizer_config.json and the chat template of a snapshot, as llama.cpp wants
// them.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace homelab::loader {

/// llama.cpp's token types (values of tokenizer.ggml.token_type).
enum class TokenType : std::int32_t { kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5 };

struct ChatTemplate {
  std::string name;  ///< empty for the default one
  std::string text;
};

struct Tokenizer {
  std::string pre;  ///< llama.cpp's name of the pre-tokenizer
  std::vector<std::string> tokens;
  std::vector<TokenType> types;
  std::vector<std::string> merges;
  std::optional<std::uint32_t> bos, unk, pad;
  std::uint32_t eos = 0;
  bool add_bos = false;
  bool add_eos = false;
  std::vector<ChatTemplate> chat_templates;
};

/// Byte-level BPE only. `rows` is the number of embedding rows: ids above the vocabulary become
/// unused tokens. `config` is config.json, where special ids may stand. Errors: kUnimplemented for
/// another kind of tokenizer (names it), kInvalidArgument for a broken one, kNotFound when
/// tokenizer.json is missing.
[[nodiscard]] Result<Tokenizer> read_tokenizer(std::filesystem::path const& folder,
                                               json::object const& config, std::uint32_t rows);

/// True if the folder has a chat template in any of the places one may be.
[[nodiscard]] bool has_chat_template(std::filesystem::path const& folder);

}  // namespace homelab::loader
