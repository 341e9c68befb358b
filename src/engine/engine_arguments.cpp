#include "engine_arguments.h"

#include <algorithm>

#include "base/os/process.h"

namespace homelab::engine {
namespace {

/// Tokens. The buffers of a batch grow with its square.
constexpr unsigned kLongestEmbeddedText = 2048;

/// llama-server splits an alias at commas.
std::string safe_alias(std::string alias) {
  std::replace(alias.begin(), alias.end(), ',', '_');
  return alias;
}

}  // namespace

std::vector<std::string> engine_arguments(EngineStart const& start) {
  std::uint64_t const context = std::uint64_t{start.context_tokens} * start.slots;
  std::vector<std::string> out = {
      "--lifeline-fd",
      std::to_string(kLifelineFd),
      "--host",
      start.socket.string(),
      "-m",
      start.model_path.string(),
      "-c",
      std::to_string(context),
      "-np",
      std::to_string(start.slots),
      "-t",
      std::to_string(start.threads),
      "--alias",
      safe_alias(start.alias),
      // Prompts of earlier requests kept outside the slots; the core's own bound is 8 GiB.
      "--cache-ram",
      "256",
  };
  if (!start.quantised.empty()) out.insert(out.end(), {"--load-quantized", start.quantised});
  if (!start.flash_attention.empty()) out.insert(out.end(), {"-fa", start.flash_attention});
  if (!start.sandbox) out.insert(out.end(), {"--sandbox", "off"});
  if (start.purpose == "embedding") out.emplace_back("--embeddings");
  if (start.purpose == "rerank") out.emplace_back("--reranking");
  if (!start.purpose.empty()) {
    // A text is embedded in one piece, for which the core's 512 tokens are too few.
    auto const piece = std::to_string(std::min(start.context_tokens, kLongestEmbeddedText));
    out.insert(out.end(), {"-b", piece, "-ub", piece});
  }
  if (start.gpu_layers >= 0) {
    out.emplace_back("-ngl");
    out.push_back(std::to_string(start.gpu_layers));
  }
  return out;
}

unsigned context_tokens_for(unsigned configured, std::optional<std::int64_t> model_context) {
  if (configured != 0) return configured;
  if (!model_context || *model_context <= 0) return kDefaultContextTokens;
  return static_cast<unsigned>(std::min<std::int64_t>(*model_context, kDefaultContextTokens));
}

unsigned threads_for(unsigned configured) {
  return configured != 0 ? configured : std::max(1U, os::usable_cores() - 1);
}

}  // namespace homelab::engine
