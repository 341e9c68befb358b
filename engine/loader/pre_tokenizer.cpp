#include "loader/pre_tokenizer.h"

#include <fmt/format.h>

#include <array>

namespace homelab::loader {
namespace {

constexpr std::string_view kSeparator = " | ";

/// The regular expressions as they stand in the tokenizer.json files of these families.
#define HOMELAB_SPLIT(digits)                                                         \
  "split:Isolated:(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits \
  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+ | bytes"

struct Known {
  std::string_view name;
  std::string_view normalizer;
  std::string_view steps;
  bool ignore_merges;  ///< llama.cpp's fixed behaviour under this name
};

constexpr std::array kKnown = {
    Known{"smollm", "", "digits:individual | bytes:regex", false},
    Known{"gpt-2", "", "bytes:regex", false},
    Known{"llama-bpe", "", HOMELAB_SPLIT("\\p{N}{1,3}"), true},
    // llama.cpp does not normalise: text that is not in NFC gives other tokens than the reference.
    Known{"qwen2", "NFC", HOMELAB_SPLIT("\\p{N}"), false},
};
#undef HOMELAB_SPLIT

std::string describe_split(json::object const& step) {
  auto const* pattern = get_object(step, "pattern");
  std::string text = "?";
  if (pattern) {
    auto const regex = get_string(*pattern, "Regex");
    text = regex ? *regex : "literal " + get_string(*pattern, "String").value_or("?");
  }
  return fmt::format("split:{}{}:{}", get_string(step, "behavior").value_or("?"),
                     get_bool(step, "invert").value_or(false) ? ":inverted" : "", text);
}

std::string describe_bytes(json::object const& step) {
  return fmt::format("bytes{}{}",
                     get_bool(step, "add_prefix_space").value_or(true) ? ":prefix_space" : "",
                     get_bool(step, "use_regex").value_or(true) ? ":regex" : "");
}

}  // namespace

std::string describe_steps(json::value const* step) {
  if (!step || step->is_null()) return {};
  auto const* object = step->if_object();
  if (!object) return "?";
  auto type = get_string(*object, "type").value_or("?");
  if (type == "Sequence") {
    auto const* list = get_array(*object, "pretokenizers");
    if (!list) list = get_array(*object, "normalizers");
    std::string all;
    for (auto const& part : list ? *list : json::array{}) {
      if (!all.empty()) all += kSeparator;
      all += describe_steps(&part);
    }
    return all;
  }
  if (type == "Digits")
    return get_bool(*object, "individual_digits").value_or(false) ? "digits:individual" : "digits";
  if (type == "ByteLevel") return describe_bytes(*object);
  if (type == "Split") return describe_split(*object);
  if (type == "NFC") return type;
  return json::serialize(*step);
}

Result<PreTokenizer> match_pre_tokenizer(json::object const& tokenizer) {
  auto const steps = describe_steps(tokenizer.if_contains("pre_tokenizer"));
  auto const normalizer = describe_steps(tokenizer.if_contains("normalizer"));
  auto const* model = get_object(tokenizer, "model");
  bool const ignore_merges = model && get_bool(*model, "ignore_merges").value_or(false);
  for (auto const& known : kKnown) {
    if (known.steps == steps && known.normalizer == normalizer &&
        known.ignore_merges == ignore_merges)
      return PreTokenizer{known.name};
  }
  return fail(Code::kUnimplemented,
              fmt::format("tokenizer.json: pre-tokenizer [{}] with normalizer [{}] and "
                          "ignore_merges {} is not known "
                          "to be the same in llama.cpp; use a GGUF of this model",
                          steps, normalizer, ignore_merges));
}

}  // namespace homelab::loader
