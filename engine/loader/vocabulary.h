#pragma once
// Tokens by id while a tokenizer's files are read.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace homelab::loader {

/// llama.cpp's token types (values of tokenizer.ggml.token_type).
enum class TokenType : std::int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// For looking a text up in a table of strings without making a string of it.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

/// An entry of "added_tokens" (tokenizer.json) or "added_tokens_decoder" (tokenizer_config.json).
struct AddedToken {
  std::string content;
  std::uint64_t id = 0;
  bool special = false;     ///< the model's control token; never shown
  bool normalized = false;  ///< is searched for in the normalised text
  bool strips_left = false;
  bool strips_right = false;
  bool single_word = false;

  /// `special`, or a name that models use for control tokens although they do not say so.
  [[nodiscard]] bool is_control() const;
};

/// All entries of "added_tokens". Errors: kInvalidArgument for an entry without content or id.
[[nodiscard]] Result<std::vector<AddedToken>> parse_added_tokens(json::object const& tokenizer);

/// As many tokens as the model has embedding rows. Errors of all functions: kInvalidArgument naming
/// `file` and the token.
class Vocabulary {
 public:
  Vocabulary(std::string_view file, std::uint32_t rows)
      : file_(file), tokens_(rows), types_(rows, TokenType::kUnused) {}

  /// "vocab" of a BPE model: every token with its id, all of type kNormal. Those that are `added`
  /// as well may lie beyond the rows.
  [[nodiscard]] Status add_model(json::object const& model, std::vector<AddedToken> const& added);
  /// Several tokens cannot have one id, unless the same text is given another type.
  [[nodiscard]] Status put(std::string_view token, std::uint64_t id, TokenType type);
  /// An added token has precedence over what has its id. Beyond the rows it is left out: the model
  /// cannot have learnt it (tokens for images, in a text model).
  [[nodiscard]] Status put_added(AddedToken const& token);

  /// The same, but the token may have another text than what had its id: tokenizer_config.json
  /// renames pieces of a tokenizer.model.
  [[nodiscard]] Status replace(AddedToken const& token);

  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view token) const;
  [[nodiscard]] std::vector<std::string> const& tokens() const { return tokens_; }
  [[nodiscard]] TokenType type(std::uint32_t id) const { return types_[id]; }
  void set_type(std::uint32_t id, TokenType type) { types_[id] = type; }
  /// The token as llama.cpp is to look for it in a text; find() goes on knowing the old one.
  void set_text(std::uint32_t id, std::string text) { tokens_[id] = std::move(text); }

  /// Ids without a token are rows that the embedding has to spare: they get a name that nothing
  /// else has. No text may be there twice (llama.cpp would end the process).
  [[nodiscard]] Status finish(std::vector<std::string>& tokens, std::vector<TokenType>& types) &&;

 private:
  std::string_view file_;
  std::vector<std::string> tokens_;
  std::vector<TokenType> types_;
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> ids_;
};

}  // namespace homelab::loader
