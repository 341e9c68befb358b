#pragma once
// Events of the two streams a command reads, one JSON text each. Pure.
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace homelab::cli {

/// What one event adds to an answer.
struct AnswerPiece {
  std::string text;
  bool last = false;
  json::object stats;  ///< of the last event: counts and times as the server named them
};

/// An event of POST /api/generate/stream (types start, token, done, error). An error event is an
/// error.
[[nodiscard]] Result<AnswerPiece> read_generate_event(std::string_view data);
/// An event of POST /v1/chat/completions with stream=true; "[DONE]" is the last one.
[[nodiscard]] Result<AnswerPiece> read_chat_event(std::string_view data);

/// "12 tokens in 0.41 s, 29.3 tokens/s, first after 35 ms", from the stats of either stream; empty
/// when they say nothing.
[[nodiscard]] std::string stats_line(json::object const& stats);

}  // namespace homelab::cli
