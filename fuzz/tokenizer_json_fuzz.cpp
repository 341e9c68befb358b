// Any bytes as a tokenizer.json of either kind of BPE: either an error, or tokens, types and scores
// of one length with no text twice, and rules that lose nothing of a text but white space.
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <unordered_set>

#include "loader/byte_level_bpe.h"
#include "loader/sentencepiece.h"

namespace {

constexpr std::uint32_t kRows = 300;

void check_rules(homelab::loader::TextRules const& rules, std::string_view text) {
  std::size_t bytes = 0;
  for (auto const& part : rules.split(text, true)) {
    if (part.token ? *part.token >= kRows : part.text.empty()) std::abort();
    bytes += part.text.size();
  }
  // No part is more than itself and a space.
  if (bytes > 2 * text.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  using namespace homelab;
  std::string_view const text(reinterpret_cast<char const*>(data), size);
  auto const parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) return 0;
  auto const& tokenizer = parsed->get_object();
  auto const* model = get_object(tokenizer, "model");
  if (!model) return 0;
  for (auto* read : {&loader::read_byte_level_bpe, &loader::read_sentencepiece_json}) {
    loader::Vocabulary vocabulary("tokenizer.json", kRows);
    loader::Tokenizer result;
    if (!read(tokenizer, *model, vocabulary, result)) continue;
    if (!std::move(vocabulary).finish(result.tokens, result.types)) continue;
    if (result.tokens.size() != kRows || result.types.size() != kRows) std::abort();
    if (!result.scores.empty() && result.scores.size() != kRows) std::abort();
    std::unordered_set<std::string_view> const different(result.tokens.begin(),
                                                         result.tokens.end());
    if (different.size() != kRows) std::abort();
    if (result.rules) check_rules(*result.rules, text);
  }
  return 0;
}
