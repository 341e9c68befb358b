#include "text_seam.h"

#include <dlfcn.h>

#include <limits>
#include <map>
#include <mutex>
#include <string_view>
#include <vector>

namespace homelab::engine_process {
namespace {

using Rules = std::shared_ptr<loader::TextRules const>;
using Tokens = std::vector<llama_token>;
using Tokenize = std::int32_t (*)(llama_vocab const*, char const*, std::int32_t, llama_token*,
                                  std::int32_t, bool, bool);

struct Table {
  std::mutex mutex;
  std::map<llama_vocab const*, Rules> rules;
};

Table& table() {
  static Table instance;
  return instance;
}

Rules rules_for(llama_vocab const* vocabulary) {
  std::lock_guard const lock(table().mutex);
  auto const found = table().rules.find(vocabulary);
  return found == table().rules.end() ? nullptr : found->second;
}

/// The library's own function of the same name.
Tokenize library_tokenize() {
  static auto const tokenize = reinterpret_cast<Tokenize>(::dlsym(RTLD_NEXT, "llama_tokenize"));
  return tokenize;
}

void append_text(llama_vocab const* vocabulary, std::string const& text, Tokens& tokens) {
  auto const before = tokens.size();
  auto const length = static_cast<std::int32_t>(text.size());
  // One token for a byte is what texts need at most; escaped spaces may need three.
  for (std::size_t room = text.size() + 8;;) {
    tokens.resize(before + room);
    auto const count = library_tokenize()(vocabulary, text.data(), length, &tokens[before],
                                          static_cast<std::int32_t>(room), false, false);
    if (count >= 0 || count == std::numeric_limits<std::int32_t>::min()) {
      tokens.resize(before + static_cast<std::size_t>(count < 0 ? 0 : count));
      return;
    }
    room = static_cast<std::size_t>(-count);
  }
}

}  // namespace

void set_text_rules(llama_vocab const* vocabulary, Rules rules) {
  std::lock_guard const lock(table().mutex);
  if (rules)
    table().rules.insert_or_assign(vocabulary, std::move(rules));
  else
    table().rules.erase(vocabulary);
}

namespace {

Tokens tokenize(llama_vocab const* vocabulary, loader::TextRules const& rules,
                std::string_view text, bool add_special, bool parse_special) {
  Tokens tokens;
  if (add_special && llama_vocab_get_add_bos(vocabulary))
    tokens.push_back(llama_vocab_bos(vocabulary));
  for (auto const& part : rules.split(text, parse_special)) {
    if (part.token)
      tokens.push_back(static_cast<llama_token>(*part.token));
    else
      append_text(vocabulary, part.text, tokens);
  }
  if (add_special && llama_vocab_get_add_eos(vocabulary))
    tokens.push_back(llama_vocab_eos(vocabulary));
  return tokens;
}

}  // namespace
}  // namespace homelab::engine_process

// Same name, type and contract as the library's function: minus the number of tokens if there is no
// room for them. The core's calls find this one first, because the executable exports it.
extern "C" std::int32_t llama_tokenize(llama_vocab const* vocab, char const* text,
                                       std::int32_t text_len, llama_token* tokens,
                                       std::int32_t n_tokens_max, bool add_special,
                                       bool parse_special) {
  using namespace homelab::engine_process;
  auto const rules = rules_for(vocab);
  if (!rules)
    return library_tokenize()(vocab, text, text_len, tokens, n_tokens_max, add_special,
                              parse_special);
  auto const result = tokenize(vocab, *rules, {text, static_cast<std::size_t>(text_len)},
                               add_special, parse_special);
  if (result.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    return std::numeric_limits<std::int32_t>::min();
  auto const count = static_cast<std::int32_t>(result.size());
  if (count > n_tokens_max) return -count;
  std::copy(result.begin(), result.end(), tokens);
  return count;
}
