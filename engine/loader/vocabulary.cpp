#include "loader/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "loader/tokenizer_files.h"

namespace homelab::loader {

bool AddedToken::is_control() const {
  // The official converter's list of names.
  constexpr std::array<std::string_view, 4> kNames = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
  if (special) return true;
  for (auto const& name : kNames)
    if (content == name) return true;
  auto const enclosed = [&](std::string_view first, std::string_view last) {
    std::string_view const token = content;
    return token.size() >= first.size() + last.size() && token.starts_with(first) &&
           token.ends_with(last);
  };
  return enclosed("<|", "|>") || enclosed("<｜", "｜>") || enclosed("<unused", ">");
}

Result<std::vector<AddedToken>> parse_added_tokens(json::object const& tokenizer) {
  std::vector<AddedToken> result;
  auto const* added = get_array(tokenizer, "added_tokens");
  for (auto const& entry : added ? *added : json::array{}) {
    auto const* object = entry.if_object();
    auto const content = object ? get_string(*object, "content") : std::nullopt;
    auto const id = object ? get_int(*object, "id") : std::nullopt;
    if (!content || content->empty() || !id || *id < 0)
      return broken(kTokenizerJson, "each of 'added_tokens' needs a content and an id");
    result.push_back({*content, static_cast<std::uint64_t>(*id), is_set(*object, "special"),
                      is_set(*object, "normalized"), is_set(*object, "lstrip"),
                      is_set(*object, "rstrip"), is_set(*object, "single_word")});
  }
  return result;
}

Status Vocabulary::add_model(json::object const& model, std::vector<AddedToken> const& added) {
  auto const* vocab = get_object(model, "vocab");
  if (!vocab || vocab->empty()) return broken(file_, "expected a vocabulary in 'model'");
  ids_.reserve(vocab->size());
  for (auto const& [token, id] : *vocab) {
    auto const* number = id.if_int64();
    if (!number || *number < 0)
      return broken(file_, fmt::format("token '{}' has no valid id", std::string_view(token)));
    auto const index = static_cast<std::uint64_t>(*number);
    bool const is_added = index >= tokens_.size() &&
                          std::any_of(added.begin(), added.end(), [&](AddedToken const& other) {
                            return other.id == index && other.content == token;
                          });
    if (!is_added) RETURN_IF_ERROR(put(token, index, TokenType::kNormal));
  }
  return {};
}

Status Vocabulary::put(std::string_view token, std::uint64_t id, TokenType type) {
  if (id >= tokens_.size()) {
    return broken(file_, fmt::format("token '{}' has id {}, but the model has only {} embedding "
                                     "rows",
                                     token, id, tokens_.size()));
  }
  bool const taken = types_[id] != TokenType::kUnused;
  if (taken && (type == TokenType::kNormal || tokens_[id] != token)) {
    return broken(file_, fmt::format("id {} belongs to '{}' and to '{}'", id, tokens_[id], token));
  }
  tokens_[id] = token;
  types_[id] = type;
  ids_[tokens_[id]] = static_cast<std::uint32_t>(id);
  return {};
}

Status Vocabulary::put_added(AddedToken const& token) {
  if (token.id >= tokens_.size()) return {};
  return put(token.content, token.id,
             token.is_control() ? TokenType::kControl : TokenType::kUserDefined);
}

Status Vocabulary::replace(AddedToken const& token) {
  if (token.id < tokens_.size() && tokens_[token.id] != token.content) {
    ids_.erase(tokens_[token.id]);
    types_[token.id] = TokenType::kUnused;
  }
  return put_added(token);
}

std::optional<std::uint32_t> Vocabulary::find(std::string_view token) const {
  auto const found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

Status Vocabulary::finish(std::vector<std::string>& tokens, std::vector<TokenType>& types) && {
  std::unordered_map<std::string_view, std::size_t> seen;
  seen.reserve(tokens_.size());
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    if (types_[i] == TokenType::kUnused && tokens_[i].empty())
      tokens_[i] = fmt::format("[PAD{}]", i);
    if (auto const [at, is_new] = seen.emplace(tokens_[i], i); !is_new || tokens_[i].empty()) {
      return broken(
          file_, fmt::format("ids {} and {} have the same text '{}'", at->second, i, tokens_[i]));
    }
  }
  tokens = std::move(tokens_);
  types = std::move(types_);
  return {};
}

}  // namespace homelab::loader
