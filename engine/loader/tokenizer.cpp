#include "loader/tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <system_error>
#include <unordered_map>

#include "base/os/file.h"
#include "loader/pre_tokenizer.h"

namespace homelab::loader {
namespace {

constexpr std::size_t kMaxTokenizerBytes = 256'000'000;
constexpr std::size_t kMaxSideFileBytes = 16'000'000;

using Ids = std::unordered_map<std::string, std::uint32_t>;

tl::unexpected<Error> unsupported(std::string_view what) {
  return fail(
      Code::kUnimplemented,
      fmt::format("tokenizer.json: {} cannot be loaded from safetensors; use a GGUF of this model",
                  what));
}

tl::unexpected<Error> broken(std::string_view what) {
  return fail(Code::kInvalidArgument, fmt::format("tokenizer.json: {}", what));
}

bool is_there(std::filesystem::path const& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

Result<json::object> read_object(std::filesystem::path const& path, std::size_t limit) {
  ASSIGN_OR_RETURN(auto const text, os::read_file(path, limit));
  auto parsed = parse_json(text);
  if (!parsed) return fail(std::move(parsed.error()).in(path.string()));
  if (!parsed->is_object())
    return fail(Code::kInvalidArgument, path.string() + ": expected a JSON object");
  return std::move(parsed->get_object());
}

/// The object, empty when the file is not there.
Result<json::object> read_optional_object(std::filesystem::path const& path) {
  if (!is_there(path)) return json::object{};
  return read_object(path, kMaxSideFileBytes);
}

bool is_set(json::object const& object, std::string_view key) {
  auto const* value = object.if_contains(key);
  if (!value || value->is_null()) return false;
  if (value->is_string()) return !value->get_string().empty();
  if (value->is_bool()) return value->get_bool();
  return !value->is_number() || value->to_number<double>() != 0;
}

/// Only what llama.cpp's byte-level BPE does as well.
Status check_model(json::object const& model) {
  auto const type = get_string(model, "type").value_or("of an unnamed kind");
  if (type != "BPE") return unsupported(fmt::format("a tokenizer of type '{}'", type));
  if (is_set(model, "byte_fallback"))
    return unsupported("a SentencePiece tokenizer (byte_fallback)");
  for (auto const* option : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
    if (is_set(model, option)) return unsupported(fmt::format("a BPE with '{}'", option));
  return {};
}

/// Names that models mark as ordinary added tokens although they are control tokens (the official
/// converter's list).
bool looks_special(std::string_view token) {
  constexpr std::array<std::string_view, 4> kNames = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
  for (auto const& name : kNames)
    if (token == name) return true;
  auto const enclosed = [&](std::string_view first, std::string_view last) {
    return token.size() >= first.size() + last.size() && token.starts_with(first) &&
           token.ends_with(last);
  };
  return enclosed("<|", "|>") || enclosed("<｜", "｜>") || enclosed("<unused", ">");
}

class Vocabulary {
 public:
  explicit Vocabulary(std::uint32_t rows) : tokens_(rows), types_(rows, TokenType::kUnused) {}

  Status add_model(json::object const& model) {
    auto const* vocab = get_object(model, "vocab");
    if (!vocab || vocab->empty()) return broken("expected a vocabulary in 'model'");
    for (auto const& [token, id] : *vocab) RETURN_IF_ERROR(put(token, id, TokenType::kNormal));
    return {};
  }

  Status add_added(json::object const& tokenizer) {
    auto const* added = get_array(tokenizer, "added_tokens");
    for (auto const& entry : added ? *added : json::array{}) {
      auto const* object = entry.if_object();
      auto const content = object ? get_string(*object, "content") : std::nullopt;
      auto const* id = object ? object->if_contains("id") : nullptr;
      if (!content || !id) return broken("each of 'added_tokens' needs a content and an id");
      for (auto const* flag : {"single_word", "lstrip", "rstrip"})
        if (is_set(*object, flag))
          return unsupported(fmt::format("an added token ('{}') with {}", *content, flag));
      bool const control = is_set(*object, "special") || looks_special(*content);
      RETURN_IF_ERROR(put(*content, *id, control ? TokenType::kControl : TokenType::kUserDefined));
    }
    return {};
  }

  [[nodiscard]] std::optional<std::uint32_t> find(std::string const& token) const {
    auto const found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }

  /// Ids without a token are rows that the embedding has to spare.
  void finish(Tokenizer& result) && {
    for (std::size_t i = 0; i < tokens_.size(); ++i)
      if (types_[i] == TokenType::kUnused) tokens_[i] = fmt::format("[PAD{}]", i);
    result.tokens = std::move(tokens_);
    result.types = std::move(types_);
  }

 private:
  Status put(std::string_view token, json::value const& id, TokenType type) {
    auto const* number = id.if_int64();
    if (!number || *number < 0) return broken(fmt::format("token '{}' has no valid id", token));
    auto const index = static_cast<std::uint64_t>(*number);
    if (index >= tokens_.size()) {
      return broken(fmt::format("token '{}' has id {}, but the model has only {} embedding rows",
                                token, index, tokens_.size()));
    }
    bool const taken = types_[index] != TokenType::kUnused;
    if (taken && (type == TokenType::kNormal || tokens_[index] != token))
      return broken(fmt::format("id {} belongs to '{}' and to '{}'", index, tokens_[index], token));
    tokens_[index] = token;
    types_[index] = type;
    ids_[tokens_[index]] = static_cast<std::uint32_t>(index);
    return {};
  }

  std::vector<std::string> tokens_;
  std::vector<TokenType> types_;
  Ids ids_;
};

/// A merge as text "left right": spaces inside the parts are written as byte-level BPE writes them.
Result<std::string> merge_text(json::value const& merge) {
  if (merge.is_string()) return std::string(merge.get_string());
  auto const* pair = merge.if_array();
  if (!pair || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string())
    return broken("each of 'merges' must be a text or a pair of texts");
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

Result<std::vector<std::string>> read_merges(json::object const& model) {
  auto const* merges = get_array(model, "merges");
  if (!merges) return broken("expected 'merges' in 'model'");
  std::vector<std::string> result;
  result.reserve(merges->size());
  for (auto const& merge : *merges) {
    ASSIGN_OR_RETURN(auto text, merge_text(merge));
    result.push_back(std::move(text));
  }
  return result;
}

/// "bos_token" is a text or an object with a content.
std::optional<std::string> token_text(json::object const& config, std::string_view key) {
  if (auto text = get_string(config, key)) return text;
  auto const* object = get_object(config, key);
  return object ? get_string(*object, "content") : std::nullopt;
}

/// An id or, as for several ends of sequence, the first of a list.
std::optional<std::uint32_t> token_id(json::object const& config, std::string_view key,
                                      std::uint32_t rows) {
  auto const* value = config.if_contains(key);
  if (!value) return std::nullopt;
  if (auto const* list = value->if_array()) value = list->empty() ? nullptr : &(*list)[0];
  auto const* number = value ? value->if_int64() : nullptr;
  if (!number || *number < 0 || *number >= rows) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

/// Where special tokens may be named, in the order of trust.
struct Sources {
  json::object const& tokenizer;
  json::object const& tokenizer_config;
  json::object const& config;
  json::object const& generation_config;
};

std::optional<std::uint32_t> special(Sources const& from, Vocabulary const& vocabulary,
                                     std::string const& kind, std::uint32_t rows) {
  if (auto const text = token_text(from.tokenizer_config, kind + "_token")) {
    if (auto const id = vocabulary.find(*text)) return id;
  }
  if (auto const id = token_id(from.config, kind + "_token_id", rows)) return id;
  return token_id(from.generation_config, kind + "_token_id", rows);
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
Result<bool> adds(Sources const& from, Vocabulary const& vocabulary, std::string const& kind,
                  std::optional<std::uint32_t> id) {
  std::vector<json::object const*> processors;
  if (auto const* one = get_object(from.tokenizer, "post_processor")) {
    auto const* many = get_array(*one, "processors");
    if (!many) processors.push_back(one);
    for (auto const& part : many ? *many : json::array{})
      if (part.is_object()) processors.push_back(&part.get_object());
  }
  bool by_template = false;
  for (auto const* processor : processors) {
    auto const text = template_token(*processor, kind == "bos");
    if (!text) continue;
    if (!id || vocabulary.find(*text) != id) {
      return unsupported(
          fmt::format("a template that adds '{}', which is not the {} token,", *text, kind));
    }
    by_template = true;
  }
  return get_bool(from.tokenizer_config, "add_" + kind + "_token").value_or(by_template);
}

Result<std::vector<ChatTemplate>> read_templates(std::filesystem::path const& folder,
                                                 json::object const& tokenizer_config) {
  std::vector<ChatTemplate> result;
  if (is_there(folder / "chat_template.jinja")) {
    ASSIGN_OR_RETURN(auto text, os::read_file(folder / "chat_template.jinja", kMaxSideFileBytes));
    result.push_back({"", std::move(text)});
    return result;
  }
  if (auto text = get_string(tokenizer_config, "chat_template")) {
    result.push_back({"", std::move(*text)});
    return result;
  }
  auto const* list = get_array(tokenizer_config, "chat_template");
  for (auto const& entry : list ? *list : json::array{}) {
    auto const* object = entry.if_object();
    auto const name = object ? get_string(*object, "name") : std::nullopt;
    auto const text = object ? get_string(*object, "template") : std::nullopt;
    if (name && text) result.push_back({*name == "default" ? "" : *name, *text});
  }
  if (result.empty() && is_there(folder / "chat_template.json")) {
    ASSIGN_OR_RETURN(auto const object,
                     read_object(folder / "chat_template.json", kMaxSideFileBytes));
    if (auto text = get_string(object, "chat_template")) result.push_back({"", std::move(*text)});
  }
  return result;
}

Status read_specials(Sources const& from, Vocabulary const& vocabulary, std::uint32_t rows,
                     Tokenizer& result) {
  auto const eos = special(from, vocabulary, "eos", rows);
  if (!eos) {
    return fail(Code::kInvalidArgument,
                "tokenizer_config.json and config.json name no end-of-sequence token (eos_token, "
                "eos_token_id)");
  }
  result.eos = *eos;
  result.bos = special(from, vocabulary, "bos", rows);
  result.unk = special(from, vocabulary, "unk", rows);
  result.pad = special(from, vocabulary, "pad", rows);
  ASSIGN_OR_RETURN(result.add_bos, adds(from, vocabulary, "bos", result.bos));
  ASSIGN_OR_RETURN(result.add_eos, adds(from, vocabulary, "eos", result.eos));
  return {};
}

}  // namespace

Result<Tokenizer> read_tokenizer(std::filesystem::path const& folder, json::object const& config,
                                 std::uint32_t rows) {
  if (!is_there(folder / "tokenizer.json")) {
    if (is_there(folder / "tokenizer.model"))
      return unsupported("a model that has only a SentencePiece tokenizer.model");
    return fail(Code::kNotFound, fmt::format("{}: tokenizer.json is missing", folder.string()));
  }
  ASSIGN_OR_RETURN(auto const tokenizer,
                   read_object(folder / "tokenizer.json", kMaxTokenizerBytes));
  ASSIGN_OR_RETURN(auto const tokenizer_config,
                   read_optional_object(folder / "tokenizer_config.json"));
  ASSIGN_OR_RETURN(auto const generation_config,
                   read_optional_object(folder / "generation_config.json"));
  auto const* model = get_object(tokenizer, "model");
  if (!model) return broken("expected an object 'model'");
  RETURN_IF_ERROR(check_model(*model));
  ASSIGN_OR_RETURN(auto const pre, match_pre_tokenizer(tokenizer));

  Tokenizer result;
  result.pre = pre.name;
  Vocabulary vocabulary(rows);
  RETURN_IF_ERROR(vocabulary.add_model(*model));
  RETURN_IF_ERROR(vocabulary.add_added(tokenizer));
  ASSIGN_OR_RETURN(result.merges, read_merges(*model));
  Sources const sources{tokenizer, tokenizer_config, config, generation_config};
  RETURN_IF_ERROR(read_specials(sources, vocabulary, rows, result));
  ASSIGN_OR_RETURN(result.chat_templates, read_templates(folder, tokenizer_config));
  std::move(vocabulary).finish(result);
  return result;
}

bool has_chat_template(std::filesystem::path const& folder) {
  if (is_there(folder / "chat_template.jinja") || is_there(folder / "chat_template.json"))
    return true;
  auto const config = read_optional_object(folder / "tokenizer_config.json");
  return config && is_set(*config, "chat_template");
}

}  // namespace homelab::loader
