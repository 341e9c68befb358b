#include "generation_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace homelab::api {
namespace {

constexpr std::size_t kMostStops = 16;
constexpr std::size_t kStopBytes = 1024;
constexpr std::size_t kMostBiases = 1024;
constexpr std::size_t kGrammarBytes = std::size_t{64} << 10U;
constexpr double kMostBias = 100;
constexpr double kLastToken = 2147483647;  ///< ids have 32 bits with a sign

struct NumberField {
  std::string_view name;
  Range range;
};

/// The engine clamps some and dies of others; here is what makes sense to it.
constexpr std::array kNumbers{
    NumberField{"top_k", {.low = 0, .high = 1'000'000, .integer = true}},
    NumberField{"min_p", {.low = 0, .high = 1}},
    NumberField{"typical_p", {.low = 0, .high = 1}},
    NumberField{"top_n_sigma", {.low = -1, .high = 100}},
    NumberField{"min_keep", {.low = 0, .high = 1'000'000, .integer = true}},
    NumberField{"repeat_penalty", {.low = 0.01, .high = 100}},
    NumberField{"presence_penalty", {.low = -2, .high = 2}},
    NumberField{"frequency_penalty", {.low = -2, .high = 2}},
    NumberField{"repeat_last_n", {.low = 0, .high = 1'000'000, .integer = true}},
    NumberField{"dry_multiplier", {.low = 0, .high = 100}},
    NumberField{"dry_base", {.low = 1, .high = 100}},
    NumberField{"dry_allowed_length", {.low = 0, .high = 1'000'000, .integer = true}},
    NumberField{"dry_penalty_last_n", {.low = 0, .high = 1'000'000, .integer = true}},
    NumberField{"xtc_probability", {.low = 0, .high = 1}},
    NumberField{"xtc_threshold", {.low = 0, .high = 1}},
    NumberField{"dynatemp_range", {.low = 0, .high = 2}},
    NumberField{"dynatemp_exponent", {.low = 0, .high = 10}},
    NumberField{"mirostat", {.low = 0, .high = 2, .integer = true}},
    NumberField{"mirostat_tau", {.low = 0, .high = 100}},
    NumberField{"mirostat_eta", {.low = 0, .high = 1}},
    NumberField{"seed", {.low = -1, .high = 4294967295.0, .integer = true}},
};

void read_numbers(BodyReader& body, json::object& out) {
  for (NumberField const& field : kNumbers) {
    if (field.range.integer) {
      if (auto const value = body.integer_if(field.name, field.range)) out[field.name] = *value;
    } else if (auto const value = body.number_if(field.name, field.range)) {
      out[field.name] = *value;
    }
  }
}

bool is_stop(json::value const& value) {
  return value.is_string() && !value.get_string().empty() &&
         value.get_string().size() <= kStopBytes;
}

void read_stop(BodyReader& body, json::object& out) {
  json::object const text{{"type", "string"}, {"minLength", 1}, {"maxLength", kStopBytes}};
  json::object const list{{"type", "array"}, {"items", text}, {"maxItems", kMostStops}};
  auto const* stop = body.value_if("stop", {{"anyOf", {text, list, {{"type", "null"}}}}});
  if (stop == nullptr) return;
  json::array texts;
  if (stop->is_array())
    texts = stop->get_array();
  else
    texts.push_back(*stop);
  bool good = texts.size() <= kMostStops;
  for (json::value const& one : texts) good = good && is_stop(one);
  if (!good)
    return body.refuse_value(
        "stop", fmt::format("must be a text of 1 to {} bytes, or a list of at most {} such texts",
                            kStopBytes, kMostStops));
  if (!texts.empty()) out["stop"] = std::move(texts);
}

bool is_bias(json::value const& value) {
  if (value.is_bool()) return !value.get_bool();
  if (!value.is_number()) return false;
  auto const number = value.to_number<double>();
  return number >= -kMostBias && number <= kMostBias;
}

bool is_bias_pair(json::value const& value) {
  auto const* pair = value.if_array();
  if (pair == nullptr || pair->size() != 2 || !is_bias((*pair)[1])) return false;
  json::value const& token = (*pair)[0];
  if (token.is_string()) return true;
  return token.is_int64() && token.get_int64() >= 0 &&
         static_cast<double>(token.get_int64()) <= kLastToken;
}

bool is_logit_bias(json::value const& value) {
  if (auto const* object = value.if_object()) {
    bool good = object->size() <= kMostBiases;
    for (auto const& [token, bias] : *object) good = good && is_bias(bias);
    return good;
  }
  auto const* list = value.if_array();
  if (list == nullptr || list->size() > kMostBiases) return false;
  bool good = true;
  for (json::value const& one : *list) good = good && is_bias_pair(one);
  return good;
}

json::object bias_schema() {
  json::object const bias{{"anyOf",
                           {{{"type", "number"}, {"minimum", -kMostBias}, {"maximum", kMostBias}},
                            {{"const", false}}}}};
  json::object const token{
      {"anyOf",
       {{{"type", "integer"}, {"minimum", 0}, {"maximum", kLastToken}}, {{"type", "string"}}}}};
  return {
      {"anyOf",
       {{{"type", "object"}, {"additionalProperties", bias}, {"maxProperties", kMostBiases}},
        {{"type", "array"},
         {"maxItems", kMostBiases},
         {"items",
          {{"type", "array"}, {"prefixItems", {token, bias}}, {"minItems", 2}, {"maxItems", 2}}}},
        {{"type", "null"}}}}};
}

void read_logit_bias(BodyReader& body, json::object& out) {
  auto const* bias = body.value_if("logit_bias", bias_schema());
  if (bias == nullptr) return;
  if (is_logit_bias(*bias))
    out["logit_bias"] = *bias;
  else
    body.refuse_value("logit_bias",
                      fmt::format("must be an object from tokens to numbers of -{0} to {0} or "
                                  "false, or a list of such pairs, of at most {1} tokens",
                                  kMostBias, kMostBiases));
}

void read_format(BodyReader& body, json::object& out) {
  auto const* schema = body.value_if("json_schema", {{"type", {"object", "null"}}});
  auto const* grammar = body.value_if(
      "grammar",
      {{"type", {"string", "null"}}, {"maxLength", kGrammarBytes}, {"pattern", "^[^%]"}});
  if (schema != nullptr && !schema->is_object())
    return body.refuse_value("json_schema", "must be a JSON schema, an object");
  if (schema != nullptr) out["json_schema"] = *schema;
  if (grammar == nullptr) return;
  if (schema != nullptr) return body.refuse_value("grammar", "cannot stand beside json_schema");
  // A text that begins with '%' is in another language, which would abort the engine.
  bool const good = grammar->is_string() && !grammar->get_string().empty() &&
                    grammar->get_string().size() <= kGrammarBytes &&
                    grammar->get_string().front() != '%';
  if (!good)
    return body.refuse_value(
        "grammar", fmt::format("must be a text in GBNF of at most {} bytes", kGrammarBytes));
  out["grammar"] = *grammar;
}

constexpr std::size_t kMostMessages = 10'000;
constexpr std::array<std::string_view, 5> kRoles = {"system", "user", "assistant", "tool",
                                                    "developer"};

bool is_message(json::value const& value) {
  auto const* message = value.if_object();
  if (message == nullptr) return false;
  auto const role = get_string(*message, "role");
  return role && std::ranges::find(kRoles, *role) != kRoles.end() &&
         get_string(*message, "content").has_value();
}

json::object messages_schema() {
  json::object const role{{"type", "string"}, {"enum", json::array(kRoles.begin(), kRoles.end())}};
  json::object const content{{"type", "string"}};
  return {{"type", "array"},
          {"minItems", 1},
          {"maxItems", kMostMessages},
          {"items",
           {{"type", "object"},
            {"properties", json::object{{"role", role}, {"content", content}}},
            {"required", json::array{"role", "content"}}}}};
}

}  // namespace

json::array read_messages(BodyReader& body) {
  auto const* value = body.required_value("messages", messages_schema());
  if (value == nullptr) return {};
  auto const* list = value->if_array();
  bool const good = list != nullptr && !list->empty() && list->size() <= kMostMessages &&
                    std::ranges::all_of(*list, is_message);
  if (good) return *list;
  body.refuse_value("messages",
                    fmt::format("must be a list of 1 to {} objects with a role (system, user, "
                                "assistant, tool, developer) and a content, both texts",
                                kMostMessages));
  return {};
}

json::object read_template_options(BodyReader& body) {
  auto const* value = body.value_if("chat_template_kwargs", {{"type", {"object", "null"}}});
  if (value == nullptr) return {};
  if (auto const* options = value->if_object()) return *options;
  body.refuse_value("chat_template_kwargs", "must be an object");
  return {};
}

engine::GenerateRequest read_sampling(BodyReader& body) {
  engine::GenerateRequest out;
  out.max_tokens = static_cast<int>(
      body.integer_or("max_tokens", out.max_tokens, {.low = 1, .high = 4096, .integer = true}));
  out.temperature = body.number_or("temperature", out.temperature, {.low = 0, .high = 2});
  out.top_p = body.number_or("top_p", out.top_p, {.low = 0, .high = 1});
  out.do_sample = body.boolean_or("do_sample", out.do_sample);
  out.model = body.optional_text("model").value_or("");  // ours: another model than the loaded one
  read_numbers(body, out.parameters);
  if (auto const ignored = body.boolean_if("ignore_eos")) out.parameters["ignore_eos"] = *ignored;
  read_stop(body, out.parameters);
  read_logit_bias(body, out.parameters);
  read_format(body, out.parameters);
  return out;
}

engine::GenerateRequest read_generation(BodyReader& body) {
  auto prompt = body.text("prompt");
  auto out = read_sampling(body);
  out.prompt = std::move(prompt);
  return out;
}

}  // namespace homelab::api
