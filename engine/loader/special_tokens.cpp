#include "loader/special_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "loader/tokenizer_files.h"

namespace homelab::loader {
namespace {

/// "bos_token" is a text or an object with a content.
std::optional<std::string> token_text(json::object const& config, std::string_view key) {
  if (auto text = get_string(config, key)) return text;
  auto const* object = get_object(config, key);
  return object ? get_string(*object, "content") : std::nullopt;
}

/// The ids of "eos_token_id" and its like: a number or a list; what the model has no row for is
/// left out.
std::vector<std::uint32_t> token_ids(json::object const& config, std::string_view key,
                                     std::size_t rows) {
  auto const* value = config.if_contains(key);
  if (!value) return {};
  std::vector<std::uint32_t> result;
  auto const* list = value->if_array();
  for (auto const& entry : list ? *list : json::array{*value}) {
    auto const* number = entry.if_int64();
    if (number && *number >= 0 && static_cast<std::uint64_t>(*number) < rows)
      result.push_back(static_cast<std::uint32_t>(*number));
  }
  return result;
}

std::optional<std::uint32_t> special(SpecialSources const& from, Vocabulary const& vocabulary,
                                     std::string const& kind) {
  if (auto const text = token_text(from.tokenizer_config, kind + "_token")) {
    if (auto const id = vocabulary.find(*text)) return id;
  }
  for (auto const* config : {&from.config, &from.generation_config}) {
    auto const ids = token_ids(*config, kind + "_token_id", vocabulary.tokens().size());
    if (!ids.empty()) return ids.front();
  }
  return std::nullopt;
}

/// The special token at the front (or back) of the template that the post-processor puts around one
/// text.
std::optional<std::string> template_token(json::object const& processor, bool front) {
  if (get_string(processor, "type") != "TemplateProcessing") return std::nullopt;
  auto const* single = get_array(processor, "single");
  if (!single || single->size() < 2) return std::nullopt;
  auto const& piece = front ? single->front() : single->back();
  auto const* object = piece.if_object();
  auto const* token = object ? get_object(*object, "SpecialToken") : nullptr;
  return token ? get_string(*token, "id") : std::nullopt;
}

/// Whether a text gets this special token added, by the post-processor or by an explicit
/// "add_bos_token".
Result<bool> adds(SpecialSources const& from, Vocabulary const& vocabulary, std::string const& kind,
                  std::optional<std::uint32_t> id, bool by_default) {
  std::vector<json::object const*> processors;
  if (auto const* one = get_object(from.tokenizer, "post_processor")) {
    auto const* many = get_array(*one, "processors");
    if (!many) processors.push_back(one);
    for (auto const& part : many ? *many : json::array{})
      if (part.is_object()) processors.push_back(&part.get_object());
  }
  for (auto const* processor : processors) {
    auto const text = template_token(*processor, kind == "bos");
    if (!text) continue;
    if (!id || vocabulary.find(*text) != id) {
      return unsupported(
          kTokenizerJson,
          fmt::format("a template that adds '{}', which is not the {} token,", *text, kind));
    }
    by_default = true;
  }
  return get_bool(from.tokenizer_config, "add_" + kind + "_token").value_or(by_default) &&
         id.has_value();
}

/// llama.cpp ends a generation at these by their text, whatever the metadata say.
constexpr std::array<std::string_view, 22> kEnds = {"<|eot_id|>",
                                                    "<|im_end|>",
                                                    "<|end|>",
                                                    "<|return|>",
                                                    "<|call|>",
                                                    "<|flush|>",
                                                    "<|calls|>",
                                                    "<end_of_turn>",
                                                    "<|endoftext|>",
                                                    "</s>",
                                                    "<|eom_id|>",
                                                    "<EOT>",
                                                    "_<EOT>",
                                                    "[EOT]",
                                                    "[EOS]",
                                                    "<|end_of_text|>",
                                                    "<end_of_utterance>",
                                                    "<eos>",
                                                    "<turn|>",
                                                    "<|tool_response>",
                                                    "<｜end▁of▁sentence｜>",
                                                    "[e~["};

/// Marks for filling in the middle, which llama.cpp also knows by their text.
constexpr std::array<std::string_view, 35> kMarks = {
    "<|fim_prefix|>", "<fim-prefix>",    "<fim_prefix>",    "<｜fim▁begin｜>", "<PRE>",
    "▁<PRE>",         "<|code_prefix|>", "<|prefix|>",      "<|fim_suffix|>",  "<fim-suffix>",
    "<fim_suffix>",   "<｜fim▁hole｜>",  "<SUF>",           "▁<SUF>",          "<|code_suffix|>",
    "<|suffix|>",     "<|fim_middle|>",  "<fim-middle>",    "<fim_middle>",    "<｜fim▁end｜>",
    "<MID>",          "▁<MID>",          "<|code_middle|>", "<|middle|>",      "<|fim_pad|>",
    "<fim-pad>",      "<fim_pad>",       "<PAD>",           "[PAD]",           "<|fim_repo|>",
    "<fim-repo>",     "<reponame>",      "<|repo_name|>",   "<REPO>",          "<|file_sep|>"};

bool ends_by_name(std::string_view token) {
  return std::find(kEnds.begin(), kEnds.end(), token) != kEnds.end();
}

/// The ids of eos_token_id that llama.cpp does not know by itself go where it has room for them.
Status set_ends(SpecialSources const& from, Vocabulary const& vocabulary, SpecialTokens& result) {
  std::vector<std::uint32_t> others;
  auto const rows = vocabulary.tokens().size();
  for (auto const* config : {&from.generation_config, &from.config}) {
    for (auto const id : token_ids(*config, "eos_token_id", rows)) {
      bool const known = id == result.eos || ends_by_name(vocabulary.tokens()[id]) ||
                         std::find(others.begin(), others.end(), id) != others.end();
      if (!known) others.push_back(id);
    }
  }
  if (others.size() > 2) {
    return unsupported("generation_config.json",
                       fmt::format("an eos_token_id with {} ids that llama.cpp does not know as "
                                   "ends of a generation",
                                   others.size() + 1));
  }
  if (!others.empty()) result.end_of_turn = others[0];
  if (others.size() > 1) result.end_of_message = others[1];
  return {};
}

bool is_ordinary(Vocabulary const& vocabulary, std::string_view token) {
  auto const id = vocabulary.find(token);
  return id && vocabulary.type(*id) == TokenType::kNormal;
}

}  // namespace

bool has_name_made_special(Vocabulary const& vocabulary) {
  auto const ordinary = [&](std::string_view token) { return is_ordinary(vocabulary, token); };
  return std::any_of(kEnds.begin(), kEnds.end(), ordinary) ||
         std::any_of(kMarks.begin(), kMarks.end(), ordinary);
}

Result<SpecialTokens> find_special_tokens(SpecialSources const& from, Vocabulary const& vocabulary,
                                          bool adds_bos) {
  SpecialTokens result;
  auto const eos = special(from, vocabulary, "eos");
  if (!eos) {
    return fail(Code::kInvalidArgument,
                "tokenizer_config.json and config.json name no end-of-sequence token (eos_token, "
                "eos_token_id)");
  }
  result.eos = *eos;
  result.bos = special(from, vocabulary, "bos");
  result.unk = special(from, vocabulary, "unk");
  result.pad = special(from, vocabulary, "pad");
  ASSIGN_OR_RETURN(result.add_bos, adds(from, vocabulary, "bos", result.bos, adds_bos));
  ASSIGN_OR_RETURN(result.add_eos, adds(from, vocabulary, "eos", result.eos, false));
  RETURN_IF_ERROR(set_ends(from, vocabulary, result));
  return result;
}

}  // namespace homelab::loader
