#pragma once
// The command line of one engine process. Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cache/hub_folder.h"

namespace homelab::engine {

inline constexpr int kLifelineFd = 3;
/// Per slot, when neither the settings nor the model ask for less (the whole is allocated at once).
inline constexpr unsigned kDefaultContextTokens = 8192;

struct EngineStart {
  cache::Path program;
  cache::Path model_path;
  std::string alias;  ///< name of the model in the engine's own answers
  unsigned context_tokens = kDefaultContextTokens;  ///< per slot
  unsigned slots = 1;
  unsigned threads = 1;
  int gpu_layers = -1;          ///< -1 = the engine's default
  std::string purpose;          ///< as ModelFacts has it
  std::string quantised;        ///< as LoadConfig has it
  std::string flash_attention;  ///< as LoadConfig has it
  bool sandbox = true;
  cache::Path socket;  ///< ends in ".sock"
  cache::Path log_file;
};

/// llama-server's arguments, with --lifeline-fd in front.
[[nodiscard]] std::vector<std::string> engine_arguments(EngineStart const& start);

/// Tokens per slot: `configured` if it is not 0, else what the model was trained for, at most
/// kDefaultContextTokens.
[[nodiscard]] unsigned context_tokens_for(unsigned configured,
                                          std::optional<std::int64_t> model_context);

/// Threads of one engine: `configured` if it is not 0, else all usable cores but one, because the
/// engine's threads spin and something else wants to run as well.
[[nodiscard]] unsigned threads_for(unsigned configured);

}  // namespace homelab::engine
