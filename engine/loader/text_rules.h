#pragma once
// What the reference tokenizer does to a text before its pieces are tokenized, where llama.cpp does
// it differently: white space that added tokens take along, and the space in front of a text.
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "loader/vocabulary.h"

namespace homelab::loader {

/// Where a SentencePiece tokenizer puts a space that the text does not have. A part is what stands
/// between added tokens.
enum class SpacePrefix {
  kNone,
  kEveryPart,         ///< also in front of a space; llama.cpp's add_space_prefix
  kEveryPartWithout,  ///< every part that does not begin with a space
  kFirstPartWithout,  ///< the text, if it begins neither with a space nor with an added token
  kEverySection,      ///< also in front of a space; a section is what stands between control tokens
};

/// Immutable, so it may be used by several threads at once.
class TextRules {
 public:
  struct Part {
    std::optional<std::uint32_t> token;  ///< an added token, or else:
    std::string text{};  ///< not empty; has the space in front, if one belongs there
  };

  TextRules(SpacePrefix prefix, std::vector<AddedToken> added);

  /// The text cut at its added tokens: from the left, the longest first. Without `parse_special`
  /// control tokens are ordinary text, as in llama.cpp.
  [[nodiscard]] std::vector<Part> split(std::string_view text, bool parse_special) const;

 private:
  [[nodiscard]] AddedToken const* longest_at(std::string_view text, bool parse_special) const;
  [[nodiscard]] bool wants_space(std::string_view text, bool is_first, bool opens_section) const;

  SpacePrefix prefix_;
  std::vector<AddedToken> added_;
  std::unordered_map<std::string, std::size_t, TextHash, std::equal_to<>> by_content_;
  std::array<std::vector<std::size_t>, 256> lengths_;  ///< by first byte, the longest first
};

/// The rules for added tokens with ids below the vocabulary's size; nullptr if llama.cpp alone
/// treats texts in this way.
[[nodiscard]] std::shared_ptr<TextRules const> make_text_rules(SpacePrefix prefix,
                                                               std::vector<AddedToken> added,
                                                               Vocabulary const& vocabulary);

}  // namespace homelab::loader
