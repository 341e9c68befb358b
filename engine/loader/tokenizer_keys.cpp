#include "loader/tokenizer_keys.h"

namespace homelab::loader {

void set_tokenizer(GgufHeader& header, Tokenizer const& tokenizer) {
  // Fixed on purpose: llama.cpp changes how it treats special tokens for some names, so none from
  // outside may get here.
  header.set("general.name", "safetensors snapshot");
  bool const bytes = tokenizer.kind == TokenizerKind::kByteLevelBpe;
  header.set("tokenizer.ggml.model", bytes ? "gpt2" : "llama");
  header.set("tokenizer.ggml.pre", bytes ? tokenizer.pre : "default");
  header.set("tokenizer.ggml.tokens", tokenizer.tokens);
  std::vector<std::int32_t> types;
  types.reserve(tokenizer.types.size());
  for (auto const type : tokenizer.types) types.push_back(static_cast<std::int32_t>(type));
  header.set("tokenizer.ggml.token_type", types);
  if (bytes) {
    header.set("tokenizer.ggml.merges", tokenizer.merges);
  } else {
    header.set("tokenizer.ggml.scores", tokenizer.scores);
    header.set("tokenizer.ggml.add_space_prefix", tokenizer.add_space_prefix);
  }
  auto const& special = tokenizer.special;
  header.set("tokenizer.ggml.eos_token_id", special.eos);
  // Without the key llama.cpp would take id 11 (or 1), whatever that is.
  header.set("tokenizer.ggml.bos_token_id", special.bos.value_or(special.eos));
  if (special.unk) header.set("tokenizer.ggml.unknown_token_id", *special.unk);
  if (special.pad) header.set("tokenizer.ggml.padding_token_id", *special.pad);
  if (special.end_of_turn) header.set("tokenizer.ggml.eot_token_id", *special.end_of_turn);
  if (special.end_of_message) header.set("tokenizer.ggml.eom_token_id", *special.end_of_message);
  header.set("tokenizer.ggml.add_bos_token", special.add_bos);
  header.set("tokenizer.ggml.add_eos_token", special.add_eos);
  for (auto const& chat : tokenizer.chat_templates) {
    std::string const suffix = chat.name.empty() ? "" : "." + chat.name;
    header.set("tokenizer.chat_template" + suffix, chat.text);
  }
}

}  // namespace homelab::loader
