#include "completion.h"

#include <fmt/format.h>

#include <utility>

namespace homelab::engine {
namespace {

constexpr std::size_t kQuotedBytes = 300;

Error error_from(json::object const& error, int status) {
  auto message =
      get_string(error, "message").value_or("the engine reported an error without a message");
  auto const code = get_int(error, "code").value_or(status);
  bool const caller = code >= 400 && code < 500;
  return {caller ? Code::kInvalidArgument : Code::kInternal, std::move(message)};
}

}  // namespace

bool is_greedy(GenerateRequest const& request) {
  return !request.do_sample || request.temperature <= 0 || request.top_p <= 0;
}

std::string tokenize_body(std::string_view prompt) {
  return json::serialize(json::object{{"content", prompt}, {"add_special", true}});
}

Result<json::array> parse_tokens(std::string_view body) {
  auto value = parse_json(body);
  if (!value || !value->is_object())
    return fail(Code::kDataLoss, "the engine's answer to /tokenize is no JSON object");
  json::value* tokens = value->get_object().if_contains("tokens");
  if (tokens == nullptr || !tokens->is_array())
    return fail(Code::kDataLoss, "the engine's answer to /tokenize has no tokens");
  for (auto const& token : tokens->get_array()) {
    if (!token.is_int64() && !token.is_uint64())
      return fail(Code::kDataLoss,
                  "the engine's answer to /tokenize holds something that is no token id");
  }
  return std::move(tokens->get_array());
}

std::string completion_body(json::array prompt_tokens, GenerateRequest const& request) {
  json::object body = {
      {"prompt", std::move(prompt_tokens)},
      {"n_predict", request.max_tokens},
      {"stream", true},
      {"repeat_penalty", 1.0},
      {"presence_penalty", 0.0},
      {"frequency_penalty", 0.0},
      {"min_p", 0.0},
      // The last event would repeat the whole prompt.
      {"response_fields", {"content", "stop", "tokens_predicted", "tokens_evaluated"}},
  };
  if (is_greedy(request)) {
    body["samplers"] = json::array{"top_k"};
    body["top_k"] = 1;
    body["temperature"] = 0.0;
    // A reused prefix is computed in batches of another size, whose last bits differ: greedy
    // answers would not repeat.
    body["cache_prompt"] = false;
  } else {
    body["samplers"] = json::array{"temperature", "top_k", "top_p"};
    body["temperature"] = request.temperature;
    body["top_k"] = kTopK;
    body["top_p"] = request.top_p;
    body["cache_prompt"] = true;
  }
  return json::serialize(body);
}

Result<CompletionChunk> parse_chunk(std::string_view data) {
  auto const value = parse_json(data);
  if (!value || !value->is_object()) {
    return fail(Code::kDataLoss, fmt::format("the engine sent an event that is no JSON object: {}",
                                             data.substr(0, kQuotedBytes)));
  }
  auto const& object = value->get_object();
  if (auto const* error = get_object(object, "error")) return fail(error_from(*error, 500));
  auto text = get_string(object, "content");
  if (!text) return fail(Code::kDataLoss, "the engine sent an event without text");
  CompletionChunk chunk;
  chunk.text = std::move(*text);
  chunk.last = get_bool(object, "stop").value_or(false);
  chunk.output_tokens = get_int(object, "tokens_predicted").value_or(0);
  chunk.input_tokens = get_int(object, "tokens_evaluated").value_or(0);
  return chunk;
}

Error engine_error(int status, std::string_view body) {
  auto const value = parse_json(body);
  if (value && value->is_object()) {
    if (auto const* error = get_object(value->get_object(), "error"))
      return error_from(*error, status);
  }
  return {
      status >= 400 && status < 500 ? Code::kInvalidArgument : Code::kInternal,
      fmt::format("the engine answered with status {}: {}", status, body.substr(0, kQuotedBytes))};
}

}  // namespace homelab::engine
