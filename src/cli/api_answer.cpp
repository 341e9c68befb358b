#include "api_answer.h"

#include <fmt/format.h>

#include <vector>

#include "base/strings.h"

namespace homelab::cli {
namespace {

constexpr std::size_t kShownBody = 200;

Code code_of_status(int status) {
  switch (status) {
    case 401:
    case 403:
      return Code::kPermissionDenied;
    case 404:
      return Code::kNotFound;
    case 405:
    case 501:
      return Code::kUnimplemented;
    case 409:
      return Code::kAborted;
    case 422:
      return Code::kInvalidArgument;
    case 429:
    case 507:
      return Code::kResourceExhausted;
    case 502:
    case 503:
      return Code::kUnavailable;
    case 504:
      return Code::kDeadlineExceeded;
    default:
      return status < 500 ? Code::kFailedPrecondition : Code::kInternal;
  }
}

/// One entry of a validation error: "max_tokens: Input should be ...".
std::string field_error(json::value const& entry) {
  auto const* object = entry.if_object();
  if (object == nullptr) return json::serialize(entry);
  std::string message = get_string(*object, "msg").value_or("not valid");
  auto const* where = get_array(*object, "loc");
  if (where == nullptr || where->empty()) return message;
  auto const* field = where->back().if_string();
  return field == nullptr ? message : fmt::format("{}: {}", std::string_view(*field), message);
}

std::string own_words(json::object const& body) {
  if (auto detail = get_string(body, "detail")) return *detail;
  if (auto const* fields = get_array(body, "detail")) {
    std::vector<std::string> texts;
    for (auto const& entry : *fields) texts.push_back(field_error(entry));
    return fmt::format("{}", fmt::join(texts, "; "));
  }
  if (auto const* error = get_object(body, "error"))
    return get_string(*error, "message").value_or("");
  return get_string(body, "error").value_or("");
}

}  // namespace

Error error_of_answer(int status, std::string_view body) {
  auto const parsed = parse_json(body);
  if (parsed && parsed->is_object()) {
    std::string words = own_words(parsed->get_object());
    if (!words.empty()) return {code_of_status(status), std::move(words)};
  }
  std::string message = fmt::format("the server answered with status {}", status);
  if (!trim(body).empty()) message += fmt::format(": {}", trim(body).substr(0, kShownBody));
  return {code_of_status(status), std::move(message)};
}

Result<json::value> value_of_answer(std::string_view body) {
  auto parsed = parse_json(body);
  if (!parsed)
    return fail(Code::kDataLoss,
                fmt::format("the answer is no JSON ({}); is another program listening there?",
                            parsed.error().message));
  return parsed;
}

std::string base_url_of(std::string_view host, int port) {
  std::string name(host);
  if (name.empty() || name == "0.0.0.0" || name == "*") name = "127.0.0.1";
  if (name == "::") name = "::1";
  if (name.find(':') != std::string::npos && name.front() != '[') name = "[" + name + "]";
  return fmt::format("http://{}:{}", name, port);
}

}  // namespace homelab::cli
