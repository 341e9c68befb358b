#pragma once
// Ollama's requests in the words of the engine's core, and the core's answers in Ollama's. No I/O.
// Rule: Ollama's API description (/api/chat, /api/generate, /api/embed), as its clients use it.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace homelab::api::ollama {

struct Wanted {
  std::string model;  ///< as the client calls it, without ":latest"
  std::string target;
  json::object body;  ///< for the core; a chat or completion is always asked for as a stream
  bool chat = false;  ///< answers carry a "message", not a "response"
  bool stream = true;
  bool only_load = false;  ///< nothing to generate: the model is to be loaded (or unloaded)
  std::optional<std::chrono::seconds> keep_alive;
};

/// Errors: kInvalidArgument naming the field.
[[nodiscard]] Result<Wanted> read_chat(json::object const& request);
[[nodiscard]] Result<Wanted> read_generate(json::object const& request);
/// Of /api/embed, or of the older /api/embeddings.
[[nodiscard]] Result<Wanted> read_embed(json::object const& request);

/// The core's stream, event by event, as Ollama's lines.
class Answer {
 public:
  Answer(std::string model, bool chat) : model_(std::move(model)), chat_(chat) {}

  /// One event of the core: the lines it becomes (none for a role or for numbers alone). Errors:
  /// the core's own error, kDataLoss for what is no event.
  [[nodiscard]] Result<std::vector<json::object>> take(std::string_view event);
  /// A line that says nothing, for clients that wait. Ollama's lines have no comments, its clients
  /// take every line for an object, and an empty piece of text for nothing. Safe beside take().
  [[nodiscard]] json::object nothing_yet() const { return line("", ""); }
  /// The last line, with the numbers. `total` is the time since the request came.
  [[nodiscard]] json::object last(std::chrono::nanoseconds total) const;
  /// Everything in one object, for a request without a stream.
  [[nodiscard]] json::object whole(std::chrono::nanoseconds total) const;

 private:
  struct ToolCall {
    std::string name, arguments;
  };
  [[nodiscard]] json::object line(std::string_view text, std::string_view thinking) const;
  void collect_tools(json::array const& deltas);
  [[nodiscard]] json::array tools() const;
  void collect_numbers(json::object const& event);

  std::string const model_;
  bool const chat_;
  std::string text_, thinking_;
  std::vector<ToolCall> tools_;
  std::string done_reason_ = "stop";
  std::int64_t prompt_tokens_ = 0, output_tokens_ = 0;
  double prompt_ms_ = 0, output_ms_ = 0;
};

/// The answer of /api/embed (or of /api/embeddings: one vector) out of the core's.
[[nodiscard]] Result<json::object> embed_answer(std::string const& model, json::value const& core,
                                                bool older, std::chrono::nanoseconds total);

/// {"error": text}: Ollama's form.
[[nodiscard]] json::object error_json(std::string_view text);
/// The text of the core's {"error": {"message": ...}}; the body itself if it is none.
[[nodiscard]] std::string core_error(std::string_view body);

}  // namespace homelab::api::ollama
