#pragma once
// The engine's dialect for one completion: requests out, answers in. Pure (llama-server's /tokenize
// and /completion).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "engine/engine_service.h"
#include "run_watch.h"

namespace homelab::engine {

/// transformers' own default, which the original's models ran with.
inline constexpr int kTopK = 50;

/// No sampling, temperature 0 or top_p 0: always the most probable token.
[[nodiscard]] bool is_greedy(GenerateRequest const& request);
/// The k that sampling works with; nullopt for greedy answers.
[[nodiscard]] std::optional<int> top_k_of(GenerateRequest const& request);

[[nodiscard]] std::string tokenize_body(std::string_view prompt);
/// Ids of the answer to /tokenize; kDataLoss for anything else.
[[nodiscard]] Result<json::array> parse_tokens(std::string_view body);

/// Temperature, then top-k 50, then top-p, as transformers does; no penalty, no min-p. Parameters
/// that the request has take their places: penalties before, min-p and typical-p after these.
[[nodiscard]] std::string completion_body(json::array prompt_tokens,
                                          GenerateRequest const& request);

/// One event of the stream.
struct CompletionChunk {
  std::string text;
  bool last = false;
  std::int64_t output_tokens = 0;  ///< of the last one: generated ids, end token included
  std::int64_t input_tokens = 0;
  EngineReport report = {};  ///< of the last one
};
/// An error event gives the engine's error.
[[nodiscard]] Result<CompletionChunk> parse_chunk(std::string_view data);

/// The engine's {"error":{"message":...}} as an Error; anything else is quoted. A status of 400 to
/// 499 is kInvalidArgument, every other kInternal.
[[nodiscard]] Error engine_error(int status, std::string_view body);

}  // namespace homelab::engine
