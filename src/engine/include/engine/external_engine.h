#pragma once
// Engines that are not ours: programs that are started for a model, or servers that run already,
// both with OpenAI's API (docs/external-engines.md). Everything here is pure but
// read_external_engines().
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace homelab::engine {

/// How one engine is started or reached, checked.
struct ExternalEngine {
  std::string name;                  ///< in the engines file; empty: known by its URL alone
  std::vector<std::string> command;  ///< with placeholders; empty = a server at `url`
  std::vector<std::pair<std::string, std::string>> environment;  ///< of the command; placeholders
  std::string url;               ///< "http://nas:8080": without "/v1", without a slash at the end
  std::string api_key_variable;  ///< environment variable that holds the key; empty = none
  std::string model;             ///< its name there, with placeholders; empty = found out
  std::string health;            ///< path; empty: /health of a command, /v1/models of a server
  int port = 0;                  ///< of the command; 0 = a free one
  bool download = true;
  std::uint64_t memory_bytes = 0;     ///< of the command; 0 = unknown
  unsigned threads = 0;               ///< of this machine's processor while it works
  std::chrono::seconds silence{600};  ///< without a sign of life a start is given up
};
using ExternalEngines = std::map<std::string, ExternalEngine>;

/// The engines file: a JSON object, name -> engine. kInvalidArgument names engine and key.
[[nodiscard]] Result<ExternalEngines> parse_external_engines(std::string_view text);
/// kPermissionDenied for a file that everybody may write: whoever writes it decides what is run.
[[nodiscard]] Result<ExternalEngines> read_external_engines(std::filesystem::path const& file);

/// What a registered model says: a name out of the engines file, or a URL, and the model's name
/// there if it is another one.
struct EngineChoice {
  std::string name;
  std::string url;  ///< exactly one of both is set
  std::string model;
};
/// "vllm", {"name": "vllm", "model": "..."} or {"url": "http://nas:8080", "model": "..."}.
[[nodiscard]] Result<EngineChoice> parse_engine_choice(json::value const& value);
/// The choice in a row's load_config; nullopt = our own engine, also when the text is no JSON.
[[nodiscard]] std::optional<EngineChoice> engine_choice_of(
    std::optional<std::string> const& load_config);
/// kNotFound for a name that is not in the file (the message says which are).
[[nodiscard]] Result<ExternalEngine> choose_engine(ExternalEngines const& known,
                                                   EngineChoice const& choice);

}  // namespace homelab::engine
