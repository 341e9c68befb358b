#include "completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
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

/// A step of sampling that happens only when the request has one of its parameters.
struct Step {
  std::string_view sampler;
  std::array<std::string_view, 3> parameters;
  bool before = false;  ///< it changes probabilities also where the likeliest token is taken
};
constexpr std::array kSteps{
    Step{"penalties", {"repeat_penalty", "presence_penalty", "frequency_penalty"}, true},
    Step{"dry", {"dry_multiplier"}, true},
    Step{"min_p", {"min_p"}},
    Step{"typ_p", {"typical_p"}},
    Step{"top_n_sigma", {"top_n_sigma"}},
    Step{"xtc", {"xtc_probability"}},
};

void add_steps(json::array& out, json::object const& parameters, bool before) {
  for (Step const& step : kSteps) {
    bool const wanted = std::ranges::any_of(step.parameters, [&](std::string_view name) {
      return !name.empty() && parameters.contains(name);
    });
    if (step.before == before && wanted) out.emplace_back(step.sampler);
  }
}

json::array samplers(GenerateRequest const& request) {
  json::array out;
  add_steps(out, request.parameters, true);
  if (is_greedy(request)) {
    out.emplace_back("top_k");
    return out;
  }
  for (std::string_view const one : {"temperature", "top_k", "top_p"}) out.emplace_back(one);
  add_steps(out, request.parameters, false);
  return out;
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

std::optional<int> top_k_of(GenerateRequest const& request) {
  if (is_greedy(request)) return std::nullopt;
  return static_cast<int>(get_int(request.parameters, "top_k").value_or(kTopK));
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
      {"response_fields", {"content", "stop", "tokens_predicted", "tokens_evaluated", "timings"}},
  };
  for (auto const& [name, value] : request.parameters) body[name] = value;
  body["samplers"] = samplers(request);
  if (is_greedy(request)) {
    body["top_k"] = 1;
    body["temperature"] = 0.0;
    body.erase("mirostat");  // it would sample
    // A reused prefix is computed in batches of another size, whose last bits differ: greedy
    // answers would not repeat.
    body["cache_prompt"] = false;
  } else {
    body["temperature"] = request.temperature;
    body["top_k"] = *top_k_of(request);
    body["top_p"] = request.top_p;
    // Who names a seed wants the same answer again.
    body["cache_prompt"] = get_int(request.parameters, "seed").value_or(-1) < 0;
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
  if (auto const* timings = get_object(object, "timings")) take_timings(*timings, chunk.report);
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
