#include "loader/pre_tokenizer.h"

#include <fmt/format.h>

#include <array>

#include "loader/tokenizer_steps.h"

namespace homelab::loader {
namespace {

// The regular expressions as they stand in the tokenizer.json files of these families.
#define HOMELAB_SPLIT(letters, digits, others)                                             \
  "split:Isolated:(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?" letters "+|" digits \
  "| ?[^\\s\\p{L}" others "\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+ | bytes"

#define HOMELAB_CASED_SPLIT(suffix, digits)                                    \
  "split:Isolated:[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*" \
  "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+" suffix                                      \
  "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"               \
  "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*" suffix "|" digits                           \
  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+ | bytes"

struct Known {
  std::string_view name;
  std::string_view steps;
  bool ignore_merges;  ///< llama.cpp's fixed behaviour under this name
};

constexpr std::array kKnown = {
    // smollm 1 and 2, starcoder, granite 3, refact, command-r
    Known{"smollm", "digits:individual | bytes:regex", false},
    // gpt-2, gpt-neox, phi-2, olmo 1, stablelm 1
    Known{"gpt-2", "bytes:regex", false},
    // llama 3, smollm3
    Known{"llama-bpe", HOMELAB_SPLIT("\\p{L}", "\\p{N}{1,3}", ""), true},
    // gpt-4's cl100k and what was made of it: olmo2, phi-4, dbrx
    Known{"dbrx", HOMELAB_SPLIT("\\p{L}", "\\p{N}{1,3}", ""), false},
    // qwen 1.5 to 3, stablelm 2, deepseek-r1 on qwen
    Known{"qwen2", HOMELAB_SPLIT("\\p{L}", "\\p{N}", ""), false},
    Known{"qwen35", HOMELAB_SPLIT("[\\p{L}\\p{M}]", "\\p{N}", "\\p{M}"), false},
    // mistral since nemo. llama.cpp's expression takes letters outside ASCII for capital and small.
    Known{"tekken", HOMELAB_CASED_SPLIT("", "\\p{N}"), true},
    // gpt-4o's o200k, phi-4-mini; likewise
    Known{"gpt-4o", HOMELAB_CASED_SPLIT("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "\\p{N}{1,3}"), false},
    Known{"deepseek-coder",
          "split:Isolated:[\r\n] | split:Isolated:\\s?\\p{L}+ | split:Isolated:\\s?\\p{P}+ | "
          "split:Isolated:[一-龥ࠀ-一가-퟿]+ | digits:individual | bytes",
          false},
    Known{"deepseek-v3",
          "split:Isolated:\\p{N}{1,3} | split:Isolated:[一-龥぀-ゟ゠-ヿ]+ | "
          "split:Isolated:[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
          "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|"
          "\\s+(?!\\S)|\\s+ | bytes",
          false},
};
#undef HOMELAB_SPLIT
#undef HOMELAB_CASED_SPLIT

/// llama.cpp normalises nothing: text that is not in NFC gives other tokens than the reference.
bool is_known_normalizer(std::string_view steps) { return steps.empty() || steps == "NFC"; }

}  // namespace

Result<PreTokenizer> match_pre_tokenizer(json::object const& tokenizer) {
  auto const steps = describe_steps(tokenizer.if_contains("pre_tokenizer"));
  auto const normalizer = describe_steps(tokenizer.if_contains("normalizer"));
  auto const* model = get_object(tokenizer, "model");
  bool const ignore_merges = model && get_bool(*model, "ignore_merges").value_or(false);
  for (auto const& known : kKnown) {
    if (known.steps == steps && is_known_normalizer(normalizer) &&
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
