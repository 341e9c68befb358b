#include "answer_stream.h"

#include <fmt/format.h>

#include <vector>

#include "base/strings.h"

namespace homelab::cli {
namespace {

Result<json::object> object_of(std::string_view data) {
  auto parsed = parse_json(data);
  if (!parsed) return fail(std::move(parsed).error().in("an event of the stream"));
  if (!parsed->is_object())
    return fail(Code::kDataLoss, "an event of the stream is no JSON object");
  return std::move(parsed->get_object());
}

/// Text of the first choice's delta.
std::string delta_text(json::object const& event) {
  auto const* choices = get_array(event, "choices");
  if (choices == nullptr || choices->empty() || !choices->front().is_object()) return {};
  auto const* delta = get_object(choices->front().get_object(), "delta");
  return delta == nullptr ? "" : get_string(*delta, "content").value_or("");
}

/// llama-server's timings under the names of our own stream.
json::object stats_of_timings(json::object const& timings) {
  json::object stats;
  if (auto const tokens = get_int(timings, "prompt_n")) stats["input_tokens"] = *tokens;
  if (auto const tokens = get_int(timings, "predicted_n")) stats["output_tokens"] = *tokens;
  auto const prompt_ms = get_double(timings, "prompt_ms");
  auto const predicted_ms = get_double(timings, "predicted_ms");
  if (prompt_ms && predicted_ms) stats["inference_time_ms"] = *prompt_ms + *predicted_ms;
  if (auto const speed = get_double(timings, "predicted_per_second"))
    stats["tokens_per_second"] = *speed;
  return stats;
}

std::string tokens_text(std::int64_t number) {
  return counted(static_cast<std::uint64_t>(number), "token");
}

}  // namespace

Result<AnswerPiece> read_generate_event(std::string_view data) {
  ASSIGN_OR_RETURN(auto event, object_of(data));
  auto const type = get_string(event, "type").value_or("");
  if (type == "error") {
    auto words = get_string(event, "error").value_or("");
    return fail(Code::kUnavailable, words.empty() ? "the generation failed" : std::move(words));
  }
  AnswerPiece piece;
  if (type == "token") piece.text = get_string(event, "text").value_or("");
  if (type == "done") {
    piece.last = true;
    event.erase("type");
    piece.stats = std::move(event);
  }
  return piece;
}

Result<AnswerPiece> read_chat_event(std::string_view data) {
  AnswerPiece piece;
  if (trim(data) == "[DONE]") {
    piece.last = true;
    return piece;
  }
  ASSIGN_OR_RETURN(auto const event, object_of(data));
  if (auto const* error = get_object(event, "error"))
    return fail(Code::kUnavailable, get_string(*error, "message").value_or("the answer failed"));
  piece.text = delta_text(event);
  if (auto const* timings = get_object(event, "timings")) piece.stats = stats_of_timings(*timings);
  return piece;
}

std::string stats_line(json::object const& stats) {
  std::vector<std::string> parts;
  auto const tokens = get_int(stats, "output_tokens");
  auto const ms = get_double(stats, "inference_time_ms");
  if (tokens && ms)
    parts.push_back(fmt::format("{} in {:.2f} s", tokens_text(*tokens), *ms / 1000));
  else if (tokens)
    parts.push_back(tokens_text(*tokens));
  if (auto const speed = get_double(stats, "tokens_per_second"))
    parts.push_back(fmt::format("{:.1f} tokens/s", *speed));
  if (auto const ttft = get_double(stats, "ttft_ms"))
    parts.push_back(fmt::format("first after {:.0f} ms", *ttft));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace homelab::cli
