#pragma once
// OpenAI's dialect for one completion and for requests that pass through. Pure.
#include <string>
#include <string_view>

#include "../completion.h"

namespace homelab::engine {

/// A streamed POST /v1/completions: only fields that every such server knows, and those that the
/// request has besides.
[[nodiscard]] std::string openai_completion_body(GenerateRequest const& request,
                                                 std::string const& model);

/// One event of its stream. `last` for "[DONE]"; `over` when the server said why it stopped, after
/// which some close without "[DONE]". Counts are 0 where the event has none. An error event gives
/// the server's error.
struct OpenAiChunk {
  CompletionChunk chunk;
  bool over = false;
};
[[nodiscard]] Result<OpenAiChunk> parse_openai_chunk(std::string_view data);

/// A body that is a JSON object, with "model" said by us and without our own "keep_alive"; all else
/// stays byte for byte. A text that is no JSON object stays as it is.
[[nodiscard]] std::string with_model(std::string_view body, std::string const& model);

}  // namespace homelab::engine
