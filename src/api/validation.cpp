#include "validation.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "json_fault.h"
#include "replies.h"

namespace homelab::api {
namespace {

json::object error_entry(json::array location, Problem problem, json::value input) {
  json::object entry{{"type", problem.type},
                     {"loc", std::move(location)},
                     {"msg", problem.message},
                     {"input", std::move(input)}};
  if (!problem.context.empty()) entry["ctx"] = std::move(problem.context);
  return entry;
}

/// What FastAPI takes for JSON: no type at all, application/json, application/*+json.
bool is_json_type(std::optional<std::string_view> header) {
  if (!header || header->empty()) return true;
  std::string const type = to_lower(trim(header->substr(0, header->find(';'))));
  if (!type.starts_with("application/")) return false;
  std::string_view const subtype = std::string_view(type).substr(12);
  return subtype == "json" || subtype.ends_with("+json");
}

Problem not_an_object() {
  return {"model_attributes_type",
          "Input should be a valid dictionary or object to extract fields from"};
}

/// 1 for an integer field, 0.0 for a number field; the text shows 1 and 0.
json::value bound_value(double bound, bool integer) {
  if (integer) return static_cast<std::int64_t>(bound);
  return bound;
}

/// `fallback` null: the field may be null, which is as if it were not there.
json::object number_schema(std::string_view type, Range range, json::value const& fallback) {
  json::object schema{{"minimum", bound_value(range.low, range.integer)},
                      {"maximum", bound_value(range.high, range.integer)}};
  if (fallback.is_null()) {
    schema["type"] = json::array{type, "null"};
  } else {
    schema["type"] = type;
    schema["default"] = fallback;
  }
  return schema;
}

/// A body before anybody knows what should be in it.
struct Body {
  std::optional<json::value> value;  ///< absent: the errors (or not_text) say why
  bool other_type = false;           ///< not announced as JSON: then the value is the bare text
  bool not_text = false;
  json::array errors;
};

Body read_body(http::Request const& request) {
  Body body;
  auto const missing = error_entry({"body"}, {"missing", "Field required"}, nullptr);
  // NOLINTNEXTLINE(bugprone-branch-clone): no body and a body of null are one answer
  if (request.body.empty()) {
    body.errors.push_back(missing);
  } else if (!is_utf8(request.body)) {
    body.not_text = true;
  } else if (!is_json_type(request.headers.find("content-type"))) {
    body.value = json::value(request.body);
    body.other_type = true;
  } else if (auto parsed = parse_json(request.body); !parsed) {
    auto const fault = find_json_fault(request.body);
    // What the grammar allows and the parser refuses: nesting without end, half a surrogate pair.
    std::string const why = fault ? fault->message : parsed.error().message;
    body.errors.push_back(error_entry({"body", fault ? fault->offset : 0},
                                      {"json_invalid", "JSON decode error", {{"error", why}}},
                                      json::object()));
  } else if (parsed->is_null()) {
    body.errors.push_back(missing);
  } else {
    body.value = *std::move(parsed);
  }
  return body;
}

http::Response refusal(bool not_text, json::array errors) {
  if (not_text) return detail_reply(400, "There was an error parsing the body");
  return json_reply(422, json::object{{"detail", std::move(errors)}});
}

}  // namespace

BodyReader::BodyReader(http::Request const& request) { parse(request); }

void BodyReader::parse(http::Request const& request) {
  auto body = read_body(request);
  not_text_ = body.not_text;
  errors_ = std::move(body.errors);
  if (!body.value) return;
  if (!body.value->is_object() || body.other_type) {
    errors_.push_back(error_entry({"body"}, not_an_object(), *std::move(body.value)));
    return;
  }
  fields_ = std::move(body.value->get_object());
  is_object_ = true;
}

template <class T>
std::optional<T> BodyReader::read(std::string_view field, bool required,
                                  Lenient<T> (*convert)(json::value const&)) {
  asked_.emplace(field);
  if (!is_object_) return std::nullopt;
  json::value const* input = fields_.if_contains(field);
  if (!input) {
    if (required) refuse(field, fields_, {"missing", "Field required"});
    return std::nullopt;
  }
  Lenient<T> value = convert(*input);
  if (!value) {
    refuse(field, *input, std::move(value).error());
    return std::nullopt;
  }
  return *std::move(value);
}

void BodyReader::refuse(std::string_view field, json::value const& input, Problem problem) {
  errors_.push_back(error_entry({"body", field}, std::move(problem), input));
}

void BodyReader::check_range(std::string_view field, double value, Range range) {
  json::value const& input = fields_.at(field);
  if (value > range.high) {
    refuse(field, input,
           {"less_than_equal",
            fmt::format("Input should be less than or equal to {}", range.high),
            {{"le", bound_value(range.high, range.integer)}}});
  } else if (value < range.low) {
    refuse(field, input,
           {"greater_than_equal",
            fmt::format("Input should be greater than or equal to {}", range.low),
            {{"ge", bound_value(range.low, range.integer)}}});
  }
}

std::string BodyReader::text(std::string_view field, Clean const& clean) {
  note(field, true, {{"type", "string"}});
  auto value = read<std::string>(field, true, to_text);
  if (!value) return {};
  if (!clean) return *std::move(value);
  Lenient<std::string> cleaned = clean(*value);
  if (!cleaned) {
    refuse(field, fields_.at(field), std::move(cleaned).error());
    return {};
  }
  return *std::move(cleaned);
}

std::string BodyReader::text_or(std::string_view field, std::string fallback, Clean const& clean) {
  note(field, false, {{"type", "string"}, {"default", fallback}});
  auto value = read<std::string>(field, false, to_text);
  if (!value) return fallback;
  if (!clean) return *std::move(value);
  Lenient<std::string> cleaned = clean(*value);
  if (cleaned) return *std::move(cleaned);
  refuse(field, fields_.at(field), std::move(cleaned).error());
  return fallback;
}

std::string BodyReader::one_of(std::string_view field, std::span<std::string_view const> allowed,
                               std::string fallback) {
  note(field, false, {{"type", "string"}, {"enum", json::array(allowed.begin(), allowed.end())}});
  auto value = read<std::string>(field, false, to_text);
  if (!value) return fallback;
  if (std::ranges::find(allowed, *value) != allowed.end()) return *std::move(value);
  std::string expected;
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    if (i > 0) expected += i + 1 == allowed.size() ? " or " : ", ";
    expected += fmt::format("'{}'", allowed[i]);
  }
  refuse(field, fields_.at(field),
         {"literal_error", "Input should be " + expected, {{"expected", expected}}});
  return fallback;
}

std::vector<std::string> BodyReader::texts(std::string_view field, bool required,
                                           Clean const& clean) {
  note(field, required, {{"type", "array"}, {"items", {{"type", "string"}}}});
  asked_.emplace(field);
  std::vector<std::string> out;
  if (!is_object_) return out;
  json::value const* input = fields_.if_contains(field);
  if (!input && required) refuse(field, fields_, {"missing", "Field required"});
  if (!input) return out;
  if (!input->is_array()) {
    refuse(field, *input, {"list_type", "Input should be a valid list"});
    return out;
  }
  if (required && input->get_array().empty())
    refuse(field, *input,
           {"too_short",
            "List should have at least 1 item after validation, not 0",
            {{"field_type", "List"}, {"min_length", 1}, {"actual_length", 0}}});
  std::size_t at = 0;
  for (json::value const& one : input->get_array()) {
    Lenient<std::string> text = to_text(one);
    if (text && clean) text = clean(*text);
    if (text)
      out.push_back(*std::move(text));
    else
      errors_.push_back(error_entry({"body", field, at}, std::move(text).error(), one));
    ++at;
  }
  return out;
}

void BodyReader::refuse_value(std::string_view field, std::string const& why) {
  json::value const* input = fields_.if_contains(field);
  refuse(field, input ? *input : json::value(),
         {"value_error", "Value error, " + why, {{"error", json::object()}}});
}

void BodyReader::forbid_others() {
  for (auto const& [name, value] : fields_)
    if (!asked_.contains(std::string_view(name)))
      refuse(name, value, {"extra_forbidden", "Extra inputs are not permitted"});
}

std::optional<std::string> BodyReader::optional_text(std::string_view field) {
  note(field, false, {{"type", {"string", "null"}}});
  asked_.emplace(field);
  if (fields_.contains(field) && fields_.at(field).is_null()) return std::nullopt;
  return read<std::string>(field, false, to_text);
}

std::int64_t BodyReader::integer_or(std::string_view field, std::int64_t fallback, Range range) {
  note(field, false, number_schema("integer", range, fallback));
  auto const value = read<std::int64_t>(field, false, to_integer);
  if (!value) return fallback;
  check_range(field, static_cast<double>(*value), range);
  return *value;
}

double BodyReader::number_or(std::string_view field, double fallback, Range range) {
  note(field, false, number_schema("number", range, fallback));
  auto const value = read<double>(field, false, to_number);
  if (!value) return fallback;
  check_range(field, *value, range);
  return *value;
}

std::optional<double> BodyReader::optional_number(std::string_view field,
                                                  std::optional<double> fallback) {
  note(field, false, {{"type", {"number", "null"}}});
  if (!fields_.contains(field)) return fallback;
  if (fields_.at(field).is_null()) return std::nullopt;
  return read<double>(field, false, to_number);
}

bool BodyReader::boolean(std::string_view field) {
  note(field, true, {{"type", "boolean"}});
  return read<bool>(field, true, to_boolean).value_or(false);
}

bool BodyReader::boolean_or(std::string_view field, bool fallback) {
  note(field, false, {{"type", "boolean"}, {"default", fallback}});
  return read<bool>(field, false, to_boolean).value_or(fallback);
}

json::value const* BodyReader::value_if(std::string_view field, json::object schema) {
  note(field, false, std::move(schema));
  asked_.emplace(field);
  json::value const* input = fields_.if_contains(field);
  return input == nullptr || input->is_null() ? nullptr : input;
}

json::value const* BodyReader::required_value(std::string_view field, json::object schema) {
  note(field, true, std::move(schema));
  asked_.emplace(field);
  json::value const* input = fields_.if_contains(field);
  if (input == nullptr && is_object_) refuse(field, fields_, {"missing", "Field required"});
  return input;
}

std::optional<std::int64_t> BodyReader::integer_if(std::string_view field, Range range) {
  if (value_if(field, number_schema("integer", range, nullptr)) == nullptr) return std::nullopt;
  auto const value = read<std::int64_t>(field, false, to_integer);
  if (value) check_range(field, static_cast<double>(*value), range);
  return value;
}

std::optional<double> BodyReader::number_if(std::string_view field, Range range) {
  if (value_if(field, number_schema("number", range, nullptr)) == nullptr) return std::nullopt;
  auto const value = read<double>(field, false, to_number);
  if (value) check_range(field, *value, range);
  return value;
}

std::optional<bool> BodyReader::boolean_if(std::string_view field) {
  if (value_if(field, {{"type", {"boolean", "null"}}}) == nullptr) return std::nullopt;
  return read<bool>(field, false, to_boolean);
}

void BodyReader::note(std::string_view field, bool required, json::object schema) {
  if (!describing_) return;
  if (required) required_.emplace_back(field);
  properties_[field] = std::move(schema);
}

json::object BodyReader::describe(Read const& read) {
  BodyReader reader;
  reader.describing_ = true;
  read(reader);
  json::object out{{"type", "object"}, {"properties", std::move(reader.properties_)}};
  if (!reader.required_.empty()) out["required"] = std::move(reader.required_);
  return out;
}

std::optional<http::Response> BodyReader::rejection() const {
  if (!not_text_ && errors_.empty()) return std::nullopt;
  return refusal(not_text_, errors_);
}

BodyReader::Clean not_blank(std::string what) {
  return [what = std::move(what)](std::string const& text) -> Lenient<std::string> {
    std::string_view const trimmed = trim(text);
    if (!trimmed.empty()) return std::string(trimmed);
    return tl::unexpected<Problem>(Problem{"value_error",
                                           fmt::format("Value error, {} must not be blank", what),
                                           {{"error", json::object()}}});
  };
}

BodyReader::Clean clean_hub_path(std::string what) {
  return [clean = not_blank(std::move(what))](std::string const& text) -> Lenient<std::string> {
    auto trimmed = clean(text);
    if (!trimmed) return trimmed;
    std::string out;
    bool first = true;
    for (std::string_view const part : split(*trimmed, '/')) {
      if (!first) out += '/';
      first = false;
      out += trim(part);
    }
    return out;
  };
}

std::optional<std::string> last_query_value(http::Request const& request, std::string_view name) {
  std::optional<std::string> found;
  for (std::string_view const pair : split(request.query, '&')) {
    if (pair.empty()) continue;
    http::Request one;
    one.query = std::string(pair);
    if (auto value = one.query_value(name)) found = std::move(value);
  }
  return found;
}

namespace {

template <class T>
tl::expected<T, http::Response> read_query(http::Request const& request, std::string_view name,
                                           T fallback, Lenient<T> (*convert)(json::value const&)) {
  auto const text = last_query_value(request, name);
  if (!text) return fallback;
  json::value const input(*text);
  Lenient<T> value = convert(input);
  if (value) return *value;
  return tl::unexpected(
      refusal(false, {error_entry({"query", name}, std::move(value).error(), input)}));
}

}  // namespace

tl::expected<bool, http::Response> query_flag(http::Request const& request, std::string_view name,
                                              bool fallback) {
  return read_query<bool>(request, name, fallback, to_boolean);
}

tl::expected<double, http::Response> query_number(http::Request const& request,
                                                  std::string_view name, double fallback) {
  return read_query<double>(request, name, fallback, to_number);
}

tl::expected<std::int64_t, http::Response> query_integer(http::Request const& request,
                                                         std::string_view name,
                                                         std::int64_t fallback) {
  return read_query<std::int64_t>(request, name, fallback, to_integer);
}

tl::expected<std::vector<std::string>, http::Response> read_text_list(
    http::Request const& request) {
  auto body = read_body(request);
  std::vector<std::string> texts;
  if (body.value && (body.other_type || !body.value->is_array())) {
    body.errors.push_back(
        error_entry({"body"}, {"list_type", "Input should be a valid list"}, *body.value));
  } else if (body.value) {
    std::size_t at = 0;
    for (json::value const& input : body.value->get_array()) {
      Lenient<std::string> text = to_text(input);
      if (text)
        texts.push_back(*std::move(text));
      else
        body.errors.push_back(error_entry({"body", at}, std::move(text).error(), input));
      ++at;
    }
  }
  if (!body.not_text && body.errors.empty()) return texts;
  return tl::unexpected(refusal(body.not_text, std::move(body.errors)));
}

}  // namespace homelab::api
