#include <fmt/format.h>

#include <array>

#include "../duration.h"
#include "translate.h"

namespace homelab::api::ollama {
namespace {

tl::unexpected<Error> bad(std::string_view field, std::string_view expected) {
  return fail(Code::kInvalidArgument, fmt::format("'{}' must be {}", field, expected));
}

/// "name" and "name:latest" are one model.
std::string model_of(json::object const& request) {
  auto name = get_string(request, "model").value_or("");
  if (name.empty()) name = get_string(request, "name").value_or("");
  constexpr std::string_view kLatest = ":latest";
  if (name.ends_with(kLatest)) name.resize(name.size() - kLatest.size());
  return name;
}

/// Ollama's option and the core's word for it.
constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kOptions = {{
    {"temperature", "temperature"},
    {"top_p", "top_p"},
    {"top_k", "top_k"},
    {"min_p", "min_p"},
    {"typical_p", "typical_p"},
    {"seed", "seed"},
    {"stop", "stop"},
    {"num_predict", "max_tokens"},
    {"repeat_penalty", "repeat_penalty"},
    {"repeat_last_n", "repeat_last_n"},
    {"presence_penalty", "presence_penalty"},
    {"frequency_penalty", "frequency_penalty"},
    {"mirostat", "mirostat"},
    {"mirostat_tau", "mirostat_tau"},
    {"mirostat_eta", "mirostat_eta"},
    {"num_keep", "n_keep"},
}};

Status read_options(json::object const& request, json::object& body) {
  auto const* value = request.if_contains("options");
  if (value == nullptr || value->is_null()) return {};
  auto const* options = value->if_object();
  if (options == nullptr) return bad("options", "an object");
  for (auto const& [theirs, ours] : kOptions) {
    auto const* option = options->if_contains(theirs);
    if (option != nullptr && !option->is_null()) body[ours] = *option;
  }
  // -1 and -2 mean "as long as it likes", which is what no limit means to the core.
  if (get_int(body, "max_tokens").value_or(0) < 0) body.erase("max_tokens");
  return {};
}

/// "json", or a schema.
Status read_format(json::object const& request, json::object& body) {
  auto const* format = request.if_contains("format");
  if (format == nullptr || format->is_null()) return {};
  if (format->is_string() && format->get_string().empty()) return {};
  if (format->is_string() && format->get_string() == "json") {
    body["response_format"] = {{"type", "json_object"}};
  } else if (format->is_object()) {
    body["response_format"] = {{"type", "json_schema"}, {"json_schema", {{"schema", *format}}}};
  } else {
    return bad("format", "\"json\" or a JSON schema");
  }
  return {};
}

Status read_think(json::object const& request, json::object& body) {
  auto const* think = request.if_contains("think");
  if (think == nullptr || think->is_null()) return {};
  if (think->is_bool()) {
    body["chat_template_kwargs"] = {{"enable_thinking", think->get_bool()}};
  } else if (think->is_string()) {
    body["chat_template_kwargs"] = {{"enable_thinking", true},
                                    {"reasoning_effort", think->get_string()}};
  } else {
    return bad("think", "true, false or a level");
  }
  return {};
}

/// Text and images as the parts of one message.
Result<json::value> content_of(std::string const& text, json::object const& from) {
  auto const* images = get_array(from, "images");
  if (images == nullptr || images->empty()) return json::value(text);
  json::array parts;
  if (!text.empty()) parts.push_back({{"type", "text"}, {"text", text}});
  for (auto const& image : *images) {
    if (!image.is_string()) return bad("images", "a list of base64 texts");
    auto const url = fmt::format("data:image/png;base64,{}", std::string_view(image.get_string()));
    parts.push_back({{"type", "image_url"}, {"image_url", {{"url", url}}}});
  }
  return json::value(std::move(parts));
}

/// Ollama has arguments as an object, OpenAI's form as a text.
json::array calls_of(json::array const& calls) {
  json::array out;
  for (auto const& entry : calls) {
    auto const* call = entry.if_object();
    auto const* function = call == nullptr ? nullptr : get_object(*call, "function");
    if (function == nullptr) continue;
    auto const* arguments = function->if_contains("arguments");
    std::string const text = arguments == nullptr     ? "{}"
                             : arguments->is_string() ? std::string(arguments->get_string())
                                                      : json::serialize(*arguments);
    auto const id = get_string(*call, "id").value_or(fmt::format("call_{}", out.size()));
    out.push_back({{"id", id},
                   {"type", "function"},
                   {"function",
                    {{"name", get_string(*function, "name").value_or("")}, {"arguments", text}}}});
  }
  return out;
}

Result<json::object> message_of(json::value const& value, std::string const& last_call) {
  auto const* message = value.if_object();
  auto const role = message == nullptr ? std::nullopt : get_string(*message, "role");
  if (!role) return bad("messages", "a list of objects with a role");
  json::object out{{"role", *role}};
  ASSIGN_OR_RETURN(out["content"],
                   content_of(get_string(*message, "content").value_or(""), *message));
  if (auto const* calls = get_array(*message, "tool_calls"); calls != nullptr && !calls->empty())
    out["tool_calls"] = calls_of(*calls);
  if (auto const thinking = get_string(*message, "thinking")) out["reasoning_content"] = *thinking;
  if (*role == "tool")
    out["tool_call_id"] = get_string(*message, "tool_call_id").value_or(last_call);
  return out;
}

Result<Wanted> begin(json::object const& request) {
  Wanted wanted;
  wanted.model = model_of(request);
  if (wanted.model.empty()) return bad("model", "the name of a registered model");
  wanted.stream = get_bool(request, "stream").value_or(true);
  ASSIGN_OR_RETURN(wanted.keep_alive, read_keep_alive(request));
  RETURN_IF_ERROR(read_options(request, wanted.body));
  RETURN_IF_ERROR(read_format(request, wanted.body));
  RETURN_IF_ERROR(read_think(request, wanted.body));
  wanted.body["stream"] = true;
  wanted.body["stream_options"] = {{"include_usage", true}};
  wanted.body["cache_prompt"] = true;
  return wanted;
}

}  // namespace

Result<Wanted> read_chat(json::object const& request) {
  ASSIGN_OR_RETURN(auto wanted, begin(request));
  wanted.chat = true;
  wanted.target = "/v1/chat/completions";
  auto const* messages = get_array(request, "messages");
  wanted.only_load = messages == nullptr || messages->empty();
  json::array out;
  std::string last_call = "call_0";
  for (auto const& entry : messages == nullptr ? json::array() : *messages) {
    ASSIGN_OR_RETURN(auto message, message_of(entry, last_call));
    if (auto const* calls = get_array(message, "tool_calls"); calls != nullptr && !calls->empty())
      last_call = get_string(calls->at(0).as_object(), "id").value_or(last_call);
    out.push_back(std::move(message));
  }
  wanted.body["messages"] = std::move(out);
  if (auto const* tools = get_array(request, "tools"); tools != nullptr && !tools->empty())
    wanted.body["tools"] = *tools;
  return wanted;
}

Result<Wanted> read_generate(json::object const& request) {
  ASSIGN_OR_RETURN(auto wanted, begin(request));
  auto const prompt = get_string(request, "prompt").value_or("");
  wanted.only_load = prompt.empty();
  if (get_bool(request, "raw").value_or(false)) {
    wanted.target = "/v1/completions";
    wanted.body["prompt"] = prompt;
    return wanted;
  }
  wanted.target = "/v1/chat/completions";
  json::array messages;
  if (auto const system = get_string(request, "system"); system && !system->empty())
    messages.push_back({{"role", "system"}, {"content", *system}});
  ASSIGN_OR_RETURN(auto content, content_of(prompt, request));
  messages.push_back({{"role", "user"}, {"content", std::move(content)}});
  wanted.body["messages"] = std::move(messages);
  return wanted;
}

Result<Wanted> read_embed(json::object const& request) {
  Wanted wanted;
  wanted.model = model_of(request);
  if (wanted.model.empty()) return bad("model", "the name of a registered model");
  ASSIGN_OR_RETURN(wanted.keep_alive, read_keep_alive(request));
  wanted.target = "/v1/embeddings";
  wanted.stream = false;
  auto const* input = request.if_contains("input");
  if (input == nullptr) input = request.if_contains("prompt");
  if (input == nullptr || !(input->is_string() || input->is_array()))
    return bad("input", "a text or a list of texts");
  wanted.body["input"] = *input;
  return wanted;
}

}  // namespace homelab::api::ollama
