#include "loader/tokenizer.h"

#include <fmt/format.h>

#include "base/os/file.h"
#include "loader/byte_level_bpe.h"
#include "loader/sentencepiece.h"
#include "loader/tokenizer_files.h"

namespace homelab::loader {
namespace {

/// What neither kind of BPE does in llama.cpp.
Status check_model(json::object const& model) {
  auto const type = get_string(model, "type").value_or("of an unnamed kind");
  if (type != "BPE")
    return unsupported(kTokenizerJson, fmt::format("a tokenizer of type '{}'", type));
  for (auto const* option : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
    if (is_set(model, option))
      return unsupported(kTokenizerJson, fmt::format("a BPE with '{}'", option));
  return {};
}

Status read_json(json::object const& tokenizer, Vocabulary& vocabulary, Tokenizer& result) {
  auto const* model = get_object(tokenizer, "model");
  if (!model) return broken(kTokenizerJson, "expected an object 'model'");
  RETURN_IF_ERROR(check_model(*model));
  if (is_set(*model, "byte_fallback"))
    return read_sentencepiece_json(tokenizer, *model, vocabulary, result);
  return read_byte_level_bpe(tokenizer, *model, vocabulary, result);
}

/// The vocabulary of whichever file there is; `tokenizer` stays empty without a tokenizer.json.
/// With both, transformers reads tokenizer.json.
Status read_vocabulary(std::filesystem::path const& folder, json::object const& tokenizer_config,
                       json::object& tokenizer, Vocabulary& vocabulary, Tokenizer& result) {
  if (is_there(folder / kTokenizerJson)) {
    ASSIGN_OR_RETURN(tokenizer, read_object(folder / kTokenizerJson, kMaxTokenizerBytes));
    return read_json(tokenizer, vocabulary, result);
  }
  if (!is_there(folder / kTokenizerModel)) {
    return fail(Code::kNotFound, fmt::format("{}: tokenizer.json is missing (and there is no "
                                             "tokenizer.model)",
                                             folder.string()));
  }
  ASSIGN_OR_RETURN(auto const bytes, os::read_file(folder / kTokenizerModel, kMaxTokenizerBytes));
  ASSIGN_OR_RETURN(auto const added, read_optional_object(folder / "added_tokens.json"));
  return read_sentencepiece_model(bytes, tokenizer_config, added, vocabulary, result);
}

}  // namespace

Result<Tokenizer> read_tokenizer(std::filesystem::path const& folder, json::object const& config,
                                 std::uint32_t rows) {
  ASSIGN_OR_RETURN(auto const tokenizer_config,
                   read_optional_object(folder / "tokenizer_config.json"));
  ASSIGN_OR_RETURN(auto const generation_config,
                   read_optional_object(folder / "generation_config.json"));
  Tokenizer result;
  json::object tokenizer;
  Vocabulary vocabulary(is_there(folder / kTokenizerJson) ? kTokenizerJson : kTokenizerModel, rows);
  RETURN_IF_ERROR(read_vocabulary(folder, tokenizer_config, tokenizer, vocabulary, result));
  SpecialSources const sources{tokenizer, tokenizer_config, config, generation_config};
  // Without a tokenizer.json it is the class that adds the first token: those of SentencePiece do.
  bool const adds_bos = tokenizer.empty();
  ASSIGN_OR_RETURN(result.special, find_special_tokens(sources, vocabulary, adds_bos));
  ASSIGN_OR_RETURN(result.chat_templates, read_chat_templates(folder, tokenizer_config));
  RETURN_IF_ERROR(std::move(vocabulary).finish(result.tokens, result.types));
  return result;
}

}  // namespace homelab::loader
