#include <fmt/format.h>

#include "base/time.h"
#include "translate.h"

namespace homelab::api::ollama {
namespace {

constexpr std::size_t kMaxToolCalls = 128;
constexpr std::size_t kMaxTextBytes = 64U << 20U;

std::int64_t nanoseconds(double milliseconds) {
  return static_cast<std::int64_t>(milliseconds * 1e6);
}

}  // namespace

json::object error_json(std::string_view text) { return {{"error", text}}; }

std::string core_error(std::string_view body) {
  auto const parsed = parse_json(body);
  auto const* object = parsed ? parsed->if_object() : nullptr;
  auto const* error = object == nullptr ? nullptr : get_object(*object, "error");
  return error == nullptr ? std::string(body)
                          : get_string(*error, "message").value_or(std::string(body));
}

json::object Answer::line(std::string_view text, std::string_view thinking) const {
  json::object out{{"model", model_}, {"created_at", to_iso_utc(utc_now())}};
  if (chat_) {
    json::object message{{"role", "assistant"}, {"content", text}};
    if (!thinking.empty()) message["thinking"] = thinking;
    out["message"] = std::move(message);
  } else {
    out["response"] = text;
    if (!thinking.empty()) out["thinking"] = thinking;
  }
  out["done"] = false;
  return out;
}

/// A call comes in pieces: its name first, then its arguments bit by bit.
void Answer::collect_tools(json::array const& deltas) {
  for (auto const& entry : deltas) {
    auto const* delta = entry.if_object();
    auto const* function = delta == nullptr ? nullptr : get_object(*delta, "function");
    auto const index = delta == nullptr ? 0 : get_int(*delta, "index").value_or(0);
    if (function == nullptr || index < 0 || index >= static_cast<std::int64_t>(kMaxToolCalls))
      continue;
    auto const place = static_cast<std::size_t>(index);
    if (tools_.size() <= place) tools_.resize(place + 1);
    tools_[place].name += get_string(*function, "name").value_or("");
    tools_[place].arguments += get_string(*function, "arguments").value_or("");
  }
}

json::array Answer::tools() const {
  json::array out;
  for (auto const& call : tools_) {
    auto arguments = parse_json(call.arguments.empty() ? "{}" : call.arguments);
    json::object function{{"name", call.name}};
    function["arguments"] = arguments ? std::move(*arguments) : json::value(call.arguments);
    json::object one;
    one["function"] = std::move(function);
    out.push_back(std::move(one));
  }
  return out;
}

void Answer::collect_numbers(json::object const& event) {
  if (auto const* usage = get_object(event, "usage")) {
    prompt_tokens_ = get_int(*usage, "prompt_tokens").value_or(prompt_tokens_);
    output_tokens_ = get_int(*usage, "completion_tokens").value_or(output_tokens_);
  }
  if (auto const* timings = get_object(event, "timings")) {
    prompt_ms_ = get_double(*timings, "prompt_ms").value_or(prompt_ms_);
    output_ms_ = get_double(*timings, "predicted_ms").value_or(output_ms_);
  }
}

Result<std::vector<json::object>> Answer::take(std::string_view event) {
  std::vector<json::object> lines;
  if (event == "[DONE]") return lines;
  auto const parsed = parse_json(event);
  auto const* object = parsed ? parsed->if_object() : nullptr;
  if (object == nullptr) return fail(Code::kDataLoss, "the engine sent an event that is no JSON");
  if (object->contains("error")) return fail(Code::kInternal, core_error(event));
  collect_numbers(*object);
  auto const* choices = get_array(*object, "choices");
  auto const* choice = choices == nullptr || choices->empty() ? nullptr : (*choices)[0].if_object();
  if (choice == nullptr) return lines;
  if (auto const reason = get_string(*choice, "finish_reason"))
    done_reason_ = *reason == "length" ? "length" : "stop";
  std::string text = get_string(*choice, "text").value_or("");
  std::string thinking;
  if (auto const* delta = get_object(*choice, "delta")) {
    text = get_string(*delta, "content").value_or("");
    thinking = get_string(*delta, "reasoning_content").value_or("");
    if (auto const* calls = get_array(*delta, "tool_calls")) collect_tools(*calls);
  }
  if (text.empty() && thinking.empty()) return lines;
  if (text_.size() + thinking_.size() + text.size() + thinking.size() > kMaxTextBytes)
    return fail(Code::kResourceExhausted, "the answer is longer than 64 MiB");
  text_ += text;
  thinking_ += thinking;
  lines.push_back(line(text, thinking));
  return lines;
}

json::object Answer::last(std::chrono::nanoseconds total) const {
  auto out = line("", "");
  if (chat_ && !tools_.empty()) out["message"].as_object()["tool_calls"] = tools();
  out["done"] = true;
  out["done_reason"] = done_reason_;
  out["total_duration"] = total.count();
  auto const worked = nanoseconds(prompt_ms_) + nanoseconds(output_ms_);
  out["load_duration"] = std::max<std::int64_t>(0, total.count() - worked);
  out["prompt_eval_count"] = prompt_tokens_;
  out["prompt_eval_duration"] = nanoseconds(prompt_ms_);
  out["eval_count"] = output_tokens_;
  out["eval_duration"] = nanoseconds(output_ms_);
  return out;
}

json::object Answer::whole(std::chrono::nanoseconds total) const {
  auto out = last(total);
  if (!chat_) {
    out["response"] = text_;
    if (!thinking_.empty()) out["thinking"] = thinking_;
    return out;
  }
  auto& message = out["message"].as_object();
  message["content"] = text_;
  if (!thinking_.empty()) message["thinking"] = thinking_;
  return out;
}

Result<json::object> embed_answer(std::string const& model, json::value const& core, bool older,
                                  std::chrono::nanoseconds total) {
  auto const* object = core.if_object();
  auto const* data = object == nullptr ? nullptr : get_array(*object, "data");
  if (data == nullptr) return fail(Code::kDataLoss, "the engine's answer has no embeddings");
  json::array vectors;
  for (auto const& entry : *data) {
    auto const* vector = entry.is_object() ? get_array(entry.get_object(), "embedding") : nullptr;
    if (vector == nullptr) return fail(Code::kDataLoss, "the engine's answer has no embeddings");
    vectors.push_back(*vector);
  }
  if (older) return json::object{{"embedding", vectors.empty() ? json::array() : vectors[0]}};
  auto const* usage = get_object(*object, "usage");
  return json::object{
      {"model", model},
      {"embeddings", std::move(vectors)},
      {"total_duration", total.count()},
      {"load_duration", 0},
      {"prompt_eval_count", usage == nullptr ? 0 : get_int(*usage, "prompt_tokens").value_or(0)}};
}

}  // namespace homelab::api::ollama
