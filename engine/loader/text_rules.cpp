#include "loader/text_rules.h"

#include <algorithm>
#include <functional>

#include "loader/special_tokens.h"

namespace homelab::loader {
namespace {

constexpr std::string_view kEscapedSpace = "▁";

/// Unicode's White_Space, in UTF-8.
constexpr std::array<std::string_view, 25> kSpaces = {
    "\t",     "\n",     "\v",     "\f",     "\r",     " ",      "\u0085", "\u00a0", "\u1680",
    "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008",
    "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

std::size_t leading_space(std::string_view text) {
  std::size_t size = 0;
  for (bool found = true; found;) {
    found = false;
    for (auto const& space : kSpaces) {
      if (!text.substr(size).starts_with(space)) continue;
      size += space.size();
      found = true;
    }
  }
  return size;
}

std::size_t trailing_space(std::string_view text) {
  std::size_t const all = text.size();
  for (bool found = true; found;) {
    found = false;
    for (auto const& space : kSpaces) {
      if (!text.ends_with(space)) continue;
      text.remove_suffix(space.size());
      found = true;
    }
  }
  return all - text.size();
}

}  // namespace

TextRules::TextRules(SpacePrefix prefix, std::vector<AddedToken> added)
    : prefix_(prefix), added_(std::move(added)) {
  for (std::size_t i = 0; i < added_.size(); ++i) {
    std::string_view const content = added_[i].content;
    if (content.empty() || !by_content_.emplace(content, i).second) continue;
    auto& lengths = lengths_[static_cast<unsigned char>(content[0])];
    if (std::find(lengths.begin(), lengths.end(), content.size()) == lengths.end())
      lengths.push_back(content.size());
  }
  for (auto& lengths : lengths_) std::sort(lengths.begin(), lengths.end(), std::greater<>());
}

AddedToken const* TextRules::longest_at(std::string_view text, bool parse_special) const {
  for (auto const length : lengths_[static_cast<unsigned char>(text[0])]) {
    auto const found = by_content_.find(text.substr(0, length));
    if (found == by_content_.end()) continue;
    auto const& token = added_[found->second];
    if (parse_special || !token.is_control()) return &token;
  }
  return nullptr;
}

bool TextRules::wants_space(std::string_view text, bool is_first, bool opens_section) const {
  bool const has_space = text.starts_with(' ') || text.starts_with(kEscapedSpace);
  switch (prefix_) {
    case SpacePrefix::kNone:
      return false;
    case SpacePrefix::kEveryPart:
      return true;
    case SpacePrefix::kEveryPartWithout:
      return !has_space;
    case SpacePrefix::kFirstPartWithout:
      return !has_space && is_first;
    case SpacePrefix::kEverySection:
      return opens_section;
  }
  return false;
}

std::vector<TextRules::Part> TextRules::split(std::string_view text, bool parse_special) const {
  std::vector<Part> parts;
  std::size_t start = 0;
  bool opens_section = true;
  auto const add_text = [&](std::string_view part) {
    if (part.empty()) return;
    bool const space = wants_space(part, start == 0, opens_section);
    parts.push_back({.token = std::nullopt, .text = (space ? " " : "") + std::string(part)});
    opens_section = false;
  };
  auto const add_token = [&](AddedToken const& token) {
    // The space that opens a section stands in front of its first token, too.
    if (prefix_ == SpacePrefix::kEverySection && opens_section && !token.is_control())
      parts.push_back({.token = std::nullopt, .text = " "});
    parts.push_back({.token = static_cast<std::uint32_t>(token.id)});
    opens_section = token.is_control();
  };
  for (std::size_t at = 0; at < text.size();) {
    auto const* token = longest_at(text.substr(at), parse_special);
    if (!token) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    at += token->content.size();
    if (token->strips_left) begin -= trailing_space(text.substr(start, begin - start));
    if (token->strips_right) at += leading_space(text.substr(at));
    add_text(text.substr(start, begin - start));
    add_token(*token);
    start = at;
  }
  add_text(text.substr(start));
  return parts;
}

std::shared_ptr<TextRules const> make_text_rules(SpacePrefix prefix, std::vector<AddedToken> added,
                                                 Vocabulary const& vocabulary) {
  auto const rows = vocabulary.tokens().size();
  std::erase_if(added, [&](AddedToken const& token) { return token.id >= rows; });
  auto const differs = [](AddedToken const& token) {
    bool const escaped = token.content.find(kEscapedSpace) != std::string::npos;
    return token.strips_left || token.strips_right || (escaped && !token.is_control());
  };
  bool const needed = (prefix != SpacePrefix::kNone && prefix != SpacePrefix::kEveryPart) ||
                      std::any_of(added.begin(), added.end(), differs) ||
                      has_name_made_special(vocabulary);
  if (!needed) return nullptr;
  return std::make_shared<TextRules const>(prefix, std::move(added));
}

}  // namespace homelab::loader
