#include "loader/sentencepiece.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "loader/merge_scores.h"
#include "loader/sentencepiece_model.h"
#include "loader/tokenizer_files.h"
#include "loader/tokenizer_steps.h"

namespace homelab::loader {
namespace {

constexpr std::string_view kEscapedSpace = "▁";

/// As llama.cpp gives a token that the official converter adds to a SentencePiece model.
constexpr float kAddedScore = -1000.0F;

struct KnownSteps {
  std::string_view normalizer;
  std::string_view pre_tokenizer;
  SpacePrefix prefix;
};

constexpr std::array kKnownSteps = {
    // llama 2, mistral v1, phi-3
    KnownSteps{"prepend:▁ | replace: :▁", "", SpacePrefix::kEveryPart},
    // gemma: after the replacement there is nothing left to split at
    KnownSteps{"replace: :▁", "", SpacePrefix::kNone},
    KnownSteps{"replace: :▁", "split:MergedWithPrevious:literal  ", SpacePrefix::kNone},
    // "legacy": false, and what transformers 5 writes
    KnownSteps{"", "metaspace:▁:first", SpacePrefix::kFirstPartWithout},
    KnownSteps{"", "metaspace:▁:always", SpacePrefix::kEveryPartWithout},
    KnownSteps{"", "metaspace:▁:never", SpacePrefix::kNone},
};

Result<KnownSteps> match_steps(json::object const& tokenizer) {
  auto const steps = describe_steps(tokenizer.if_contains("pre_tokenizer"));
  auto const normalizer = describe_steps(tokenizer.if_contains("normalizer"));
  for (auto const& known : kKnownSteps)
    if (known.pre_tokenizer == steps && known.normalizer == normalizer) return known;
  return unsupported(kTokenizerJson,
                     fmt::format("a SentencePiece tokenizer with pre-tokenizer [{}] and normalizer "
                                 "[{}]",
                                 steps, normalizer));
}

std::string with_spaces(std::string text) {
  for (auto at = text.find(kEscapedSpace); at != std::string::npos; at = text.find(kEscapedSpace))
    text.replace(at, kEscapedSpace.size(), " ");
  return text;
}

/// A run of spaces that is a token of its own has the highest score, so merging finds it, also
/// where a text has ▁ itself.
bool is_spaces(std::string_view text) {
  return with_spaces(std::string(text)).find_first_not_of(' ') == std::string::npos;
}

std::string byte_token(unsigned byte) { return fmt::format("<0x{:02X}>", byte); }

/// Every byte must have a token: llama.cpp has no other way to write what is not in the vocabulary.
/// (Some vocabularies have the tab itself instead of its byte token.)
Status mark_byte_tokens(std::string_view file, Vocabulary& vocabulary) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (auto const id = vocabulary.find(byte_token(byte))) {
      vocabulary.set_type(*id, TokenType::kByte);
    } else if (byte >= 0x80 || !vocabulary.find(std::string(1, static_cast<char>(byte)))) {
      return unsupported(file, fmt::format("a SentencePiece tokenizer without the byte token {}",
                                           byte_token(byte)));
    }
  }
  return {};
}

/// How llama.cpp must know an added token of a tokenizer.json. `replaces` is true if the normaliser
/// turns spaces into ▁.
Status put_added(AddedToken& token, bool replaces, bool prepends, Vocabulary& vocabulary) {
  if (token.single_word)
    return unsupported(kTokenizerJson,
                       fmt::format("an added token ('{}') with single_word", token.content));
  if (token.normalized && prepends && !token.is_control())
    return unsupported(
        kTokenizerJson,
        fmt::format("an added token ('{}') that is looked for in the normalised text",
                    token.content));
  bool const escaped = token.content.find(kEscapedSpace) != std::string::npos;
  bool const searched = token.normalized && replaces;
  // Texts have spaces where this token has ▁: llama.cpp finds it by merging, and the text rules
  // where a text has ▁ itself.
  if (escaped && !searched && !token.is_control() && vocabulary.find(token.content)) return {};
  RETURN_IF_ERROR(vocabulary.put_added(token));
  if (escaped && searched) token.content = with_spaces(token.content);
  if (token.id < vocabulary.tokens().size())
    vocabulary.set_text(static_cast<std::uint32_t>(token.id), token.content);
  return {};
}

void set_rules(SpacePrefix prefix, std::vector<AddedToken> added, Vocabulary const& vocabulary,
               Tokenizer& result) {
  result.rules = make_text_rules(prefix, std::move(added), vocabulary);
  result.add_space_prefix = !result.rules && prefix == SpacePrefix::kEveryPart;
}

Status check_sentencepiece_model(SentencePieceModel const& model) {
  constexpr std::array<std::string_view, 5> kKinds = {"", "unigram", "bpe", "word", "char"};
  std::string what;
  if (model.model_type != 2)
    what = fmt::format("a SentencePiece model of type '{}'", kKinds[model.model_type]);
  else if (model.has_character_map)
    what = "a SentencePiece model that normalises texts (normalizer_spec.precompiled_charsmap)";
  else if (model.removes_extra_spaces)
    what = "a SentencePiece model with normalizer_spec.remove_extra_whitespaces";
  else if (!model.escapes_spaces)
    what = "a SentencePiece model without normalizer_spec.escape_whitespaces";
  else if (model.treats_space_as_suffix)
    what = "a SentencePiece model with trainer_spec.treat_whitespace_as_suffix";
  return what.empty() ? Status{} : unsupported(kTokenizerModel, what);
}

/// Added tokens of a folder without tokenizer.json.
std::vector<AddedToken> added_beside_model(json::object const& tokenizer_config,
                                           json::object const& added_tokens) {
  std::vector<AddedToken> result;
  for (auto const& [content, id] : added_tokens)
    if (id.is_int64() && id.get_int64() >= 0 && !content.empty())
      result.push_back({.content = content, .id = static_cast<std::uint64_t>(id.get_int64())});
  auto const* decoder = get_object(tokenizer_config, "added_tokens_decoder");
  for (auto const& [id, entry] : decoder ? *decoder : json::object{}) {
    auto const* object = entry.if_object();
    auto const number = parse_uint(id);
    auto const content = object ? get_string(*object, "content") : std::nullopt;
    if (!number || !content || content->empty()) continue;
    std::erase_if(result, [&](AddedToken const& other) { return other.id == *number; });
    result.push_back({*content, *number, is_set(*object, "special"), false,
                      is_set(*object, "lstrip"), is_set(*object, "rstrip"),
                      is_set(*object, "single_word")});
  }
  return result;
}

/// The pieces of a tokenizer.model that are looked for in texts before any merging.
std::vector<AddedToken> whole_pieces(SentencePieceModel const& model) {
  std::vector<AddedToken> result;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    auto const& piece = model.pieces[id];
    auto const type = static_cast<TokenType>(piece.type);
    bool const special = type == TokenType::kControl || type == TokenType::kUnknown;
    if (special || (type == TokenType::kUserDefined && !is_spaces(piece.text)))
      result.push_back({.content = special ? piece.text : with_spaces(piece.text),
                        .id = id,
                        .special = special});
  }
  return result;
}

/// The pieces into the vocabulary, with their scores.
Status put_pieces(SentencePieceModel const& model, Vocabulary& vocabulary,
                  std::vector<float>& scores) {
  for (std::uint32_t id = 0; id < model.pieces.size(); ++id) {
    auto const& piece = model.pieces[id];
    auto const type = static_cast<TokenType>(piece.type);
    bool const merged = type == TokenType::kUserDefined && is_spaces(piece.text);
    RETURN_IF_ERROR(vocabulary.put(piece.text, id, merged ? TokenType::kNormal : type));
    if (type == TokenType::kUserDefined && !merged)
      vocabulary.set_text(id, with_spaces(piece.text));
    scores[id] = piece.score;
  }
  return mark_byte_tokens(kTokenizerModel, vocabulary);
}

/// Where the sentencepiece library puts its dummy prefix. User defined pieces do not open a text
/// anew; without them llama.cpp does the same.
SpacePrefix prefix_of(SentencePieceModel const& model) {
  if (!model.adds_dummy_prefix) return SpacePrefix::kNone;
  bool const own = std::any_of(model.pieces.begin(), model.pieces.end(), [](auto const& piece) {
    return piece.type == static_cast<std::uint32_t>(TokenType::kUserDefined);
  });
  return own ? SpacePrefix::kEverySection : SpacePrefix::kEveryPart;
}

}  // namespace

Status read_sentencepiece_json(json::object const& tokenizer, json::object const& model,
                               Vocabulary& vocabulary, Tokenizer& result) {
  if (is_set(model, "ignore_merges"))
    return unsupported(kTokenizerJson, "a tokenizer with byte_fallback and ignore_merges");
  ASSIGN_OR_RETURN(auto const steps, match_steps(tokenizer));
  ASSIGN_OR_RETURN(auto added, parse_added_tokens(tokenizer));
  RETURN_IF_ERROR(vocabulary.add_model(model, added));
  RETURN_IF_ERROR(mark_byte_tokens(kTokenizerJson, vocabulary));
  bool const replaces = steps.normalizer.find("replace") != std::string_view::npos;
  bool const prepends = steps.normalizer.find("prepend") != std::string_view::npos;
  for (auto& token : added) RETURN_IF_ERROR(put_added(token, replaces, prepends, vocabulary));
  auto const* merges = get_array(model, "merges");
  if (!merges) return broken(kTokenizerJson, "expected 'merges' in 'model'");
  ASSIGN_OR_RETURN(result.scores, scores_of_merges(*merges, vocabulary));
  result.kind = TokenizerKind::kSentencePiece;
  set_rules(steps.prefix, std::move(added), vocabulary, result);
  return {};
}

Status read_sentencepiece_model(std::string_view bytes, json::object const& tokenizer_config,
                                json::object const& added_tokens, Vocabulary& vocabulary,
                                Tokenizer& result) {
  ASSIGN_OR_RETURN(auto const model, parse_sentencepiece_model(bytes));
  RETURN_IF_ERROR(check_sentencepiece_model(model));
  auto const rows = vocabulary.tokens().size();
  result.scores.assign(rows, kAddedScore);
  RETURN_IF_ERROR(put_pieces(model, vocabulary, result.scores));
  auto whole = whole_pieces(model);
  for (auto& token : added_beside_model(tokenizer_config, added_tokens)) {
    if (token.single_word)
      return unsupported("tokenizer_config.json",
                         fmt::format("an added token ('{}') with single_word", token.content));
    if (token.id >= rows || (is_spaces(token.content) && vocabulary.find(token.content))) continue;
    RETURN_IF_ERROR(vocabulary.replace(token));
    if (!token.is_control()) token.content = with_spaces(token.content);
    vocabulary.set_text(static_cast<std::uint32_t>(token.id), token.content);
    result.scores[token.id] = kAddedScore;
    std::erase_if(whole, [&](AddedToken const& piece) { return piece.id == token.id; });
    whole.push_back(token);
  }
  result.kind = TokenizerKind::kSentencePiece;
  set_rules(prefix_of(model), std::move(whole), vocabulary, result);
  return {};
}

}  // namespace homelab::loader
