#include "loader/tokenizer.h"

#include <fmt/format.h>

#include "loader/byte_level_bpe.h"
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
    return unsupported(kTokenizerJson, "a SentencePiece tokenizer (byte_fallback)");
  return read_byte_level_bpe(tokenizer, *model, vocabulary, result);
}

}  // namespace

Result<Tokenizer> read_tokenizer(std::filesystem::path const& folder, json::object const& config,
                                 std::uint32_t rows) {
  if (!is_there(folder / kTokenizerJson)) {
    if (is_there(folder / kTokenizerModel))
      return unsupported(kTokenizerModel, "a model that has only a SentencePiece tokenizer.model");
    return fail(Code::kNotFound, fmt::format("{}: tokenizer.json is missing", folder.string()));
  }
  ASSIGN_OR_RETURN(auto const tokenizer, read_object(folder / kTokenizerJson, kMaxTokenizerBytes));
  ASSIGN_OR_RETURN(auto const tokenizer_config,
                   read_optional_object(folder / "tokenizer_config.json"));
  ASSIGN_OR_RETURN(auto const generation_config,
                   read_optional_object(folder / "generation_config.json"));
  Tokenizer result;
  Vocabulary vocabulary(kTokenizerJson, rows);
  RETURN_IF_ERROR(read_json(tokenizer, vocabulary, result));
  SpecialSources const sources{tokenizer, tokenizer_config, config, generation_config};
  ASSIGN_OR_RETURN(result.special, find_special_tokens(sources, vocabulary, false));
  ASSIGN_OR_RETURN(result.chat_templates, read_chat_templates(folder, tokenizer_config));
  RETURN_IF_ERROR(std::move(vocabulary).finish(result.tokens, result.types));
  return result;
}

}  // namespace homelab::loader
