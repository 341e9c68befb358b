// Test program (not installed): token ids and logits of a model, through the same seam as the
// engine.
//   engine_probe MODEL < requests       one JSON object a line: {"text": "...", "special": false,
//   "logits": true}, or {"tokens": [1, 2], "logits": true}
// Prints one JSON object a line: {"tokens": [...]}; with logits, all positions' raw floats are
// appended to LOGITS_FILE. {"ends": true} is answered with {"ends": [ids that end a generation]}.
// LOAD_QUANTIZED is the engine's --load-quantized, LOAD_MODE its --load-mode.
#include <llama.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "back_ends.h"
#include "base/json.h"
#include "load_quantisation.h"
#include "model_seam.h"

namespace {

using homelab::json::array;
using homelab::json::object;

std::vector<llama_token> tokenize(llama_vocab const* vocab, std::string const& text, bool special) {
  auto const length = static_cast<std::int32_t>(text.size());
  std::vector<llama_token> tokens(text.size() + 8);
  auto const count = llama_tokenize(vocab, text.data(), length, tokens.data(),
                                    static_cast<std::int32_t>(tokens.size()), special, special);
  tokens.resize(static_cast<std::size_t>(std::max(count, 0)));
  return tokens;
}

/// Those that are given, else those of the text.
std::vector<llama_token> tokens_of(llama_vocab const* vocab, object const& request) {
  if (auto const* ids = request.if_contains("tokens"))
    return homelab::json::value_to<std::vector<llama_token>>(*ids);
  return tokenize(vocab, homelab::get_string(request, "text").value_or(""),
                  homelab::get_bool(request, "special").value_or(false));
}

bool write_logits(llama_context* context, llama_vocab const* vocab,
                  std::vector<llama_token> const& tokens, std::FILE* out) {
  llama_memory_clear(llama_get_memory(context), true);
  auto batch = llama_batch_init(static_cast<std::int32_t>(tokens.size()), 0, 1);
  batch.n_tokens = static_cast<std::int32_t>(tokens.size());
  for (std::int32_t i = 0; i < batch.n_tokens; ++i) {
    batch.token[i] = tokens[static_cast<std::size_t>(i)];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  bool const decoded = llama_decode(context, batch) == 0;
  auto const size = static_cast<std::size_t>(llama_vocab_n_tokens(vocab));
  for (std::int32_t i = 0; decoded && i < batch.n_tokens; ++i)
    std::fwrite(llama_get_logits_ith(context, i), sizeof(float), size, out);
  llama_batch_free(batch);
  return decoded;
}

array ends_of_generation(llama_vocab const* vocab) {
  array ids;
  for (llama_token id = 0; id < llama_vocab_n_tokens(vocab); ++id)
    if (llama_vocab_is_eog(vocab, id)) ids.emplace_back(id);
  return ids;
}

struct Settings {
  bool vocab_only = false;
  char const* logits_path = nullptr;
  char const* quantised = nullptr;
  char const* load_mode = nullptr;
};

Settings settings_of_environment() {
  // NOLINTBEGIN(concurrency-mt-unsafe): called before the first thread starts
  return {std::getenv("VOCAB_ONLY") != nullptr, std::getenv("LOGITS_FILE"),
          std::getenv("LOAD_QUANTIZED"), std::getenv("LOAD_MODE")};
  // NOLINTEND(concurrency-mt-unsafe)
}

bool set_quantisation(char const* name) {
  auto quantisation = homelab::engine_process::parse_quantisation(name);
  if (quantisation) homelab::engine_process::set_load_quantisation(std::move(*quantisation));
  return quantisation.has_value();
}

/// One line of input; 0 or the exit code.
int answer(std::string const& line, llama_vocab const* vocab, llama_context* context,
           std::FILE* logits) {
  auto const request = homelab::parse_json(line);
  if (!request || !request->is_object()) return 2;
  auto const& object_in = request->get_object();
  if (homelab::get_bool(object_in, "ends").value_or(false)) {
    std::cout << homelab::json::serialize(object{{"ends", ends_of_generation(vocab)}}) << "\n";
    return 0;
  }
  auto const tokens = tokens_of(vocab, object_in);
  if (homelab::get_bool(object_in, "logits").value_or(false)) {
    if (!context || !logits || !write_logits(context, vocab, tokens, logits)) return 3;
  }
  std::cout << homelab::json::serialize(object{{"tokens", array(tokens.begin(), tokens.end())}})
            << "\n";
  return 0;
}

int run(char const* path) {
  auto const settings = settings_of_environment();
  if (settings.quantised && !set_quantisation(settings.quantised)) return 2;
  if (!homelab::engine_process::load_back_ends()) return 1;
  auto model_params = llama_model_default_params();
  model_params.vocab_only = settings.vocab_only;
  if (settings.load_mode) model_params.load_mode = llama_load_mode_from_str(settings.load_mode);
  auto* model = llama_model_load_from_file(path, model_params);
  if (!model) return 1;
  auto const* vocab = llama_model_get_vocab(model);
  auto context_params = llama_context_default_params();
  context_params.n_ctx = 512;
  context_params.n_threads = context_params.n_threads_batch = 1;
  auto* context = settings.vocab_only ? nullptr : llama_init_from_model(model, context_params);
  std::FILE* logits = settings.logits_path ? std::fopen(settings.logits_path, "wb") : nullptr;
  int code = 0;
  for (std::string line; code == 0 && std::getline(std::cin, line);)
    code = answer(line, vocab, context, logits);
  if (logits) std::fclose(logits);
  if (context) llama_free(context);
  llama_model_free(model);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  return run(argv[1]);
}
