#include "loader/byte_level_bpe.h"

#include <fmt/format.h>

#include "loader/pre_tokenizer.h"
#include "loader/tokenizer_files.h"

namespace homelab::loader {
namespace {

/// A merge as text "left right": spaces inside the parts are written as byte-level BPE writes them.
Result<std::string> merge_text(json::value const& merge) {
  if (merge.is_string()) return std::string(merge.get_string());
  auto const* pair = merge.if_array();
  if (!pair || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string())
    return broken(kTokenizerJson, "each of 'merges' must be a text or a pair of texts");
  std::string text;
  for (auto const& part : *pair) {
    if (!text.empty()) text += ' ';
    for (char c : part.get_string()) {
      if (c == ' ')
        text += "Ġ";
      else
        text += c;
    }
  }
  return text;
}

Status check_merge(std::string_view merge, Vocabulary const& vocabulary) {
  auto const space = merge.find(' ');
  bool known = space != std::string_view::npos;
  if (known) {
    auto const left = merge.substr(0, space);
    auto const right = merge.substr(space + 1);
    known = vocabulary.find(left) && vocabulary.find(right) &&
            vocabulary.find(std::string(left).append(right));
  }
  if (known) return {};
  return broken(
      kTokenizerJson,
      fmt::format("'merges' has '{}', which are not two tokens that make a third", merge));
}

Result<std::vector<std::string>> read_merges(json::object const& model,
                                             Vocabulary const& vocabulary) {
  auto const* merges = get_array(model, "merges");
  if (!merges) return broken(kTokenizerJson, "expected 'merges' in 'model'");
  std::vector<std::string> result;
  result.reserve(merges->size());
  for (auto const& merge : *merges) {
    ASSIGN_OR_RETURN(auto text, merge_text(merge));
    RETURN_IF_ERROR(check_merge(text, vocabulary));
    result.push_back(std::move(text));
  }
  return result;
}

}  // namespace

Status read_byte_level_bpe(json::object const& tokenizer, json::object const& model,
                           Vocabulary& vocabulary, Tokenizer& result) {
  ASSIGN_OR_RETURN(auto const pre, match_pre_tokenizer(tokenizer));
  ASSIGN_OR_RETURN(auto added, parse_added_tokens(tokenizer));
  RETURN_IF_ERROR(vocabulary.add_model(model, added));
  for (auto const& token : added) {
    if (token.single_word)
      return unsupported(kTokenizerJson,
                         fmt::format("an added token ('{}') with single_word", token.content));
    RETURN_IF_ERROR(vocabulary.put_added(token));
  }
  ASSIGN_OR_RETURN(result.merges, read_merges(model, vocabulary));
  result.kind = TokenizerKind::kByteLevelBpe;
  result.pre = pre.name;
  result.rules = make_text_rules(SpacePrefix::kNone, std::move(added), vocabulary);
  return {};
}

}  // namespace homelab::loader
