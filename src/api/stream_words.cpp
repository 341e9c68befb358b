#include "stream_words.h"

#include <algorithm>
#include <array>

#include "json_text.h"

namespace homelab::api {
namespace {

constexpr std::string_view kMessages = "/v1/messages";
constexpr std::array<std::string_view, 4> kStreamed = {"/v1/chat/completions", "/v1/completions",
                                                       "/v1/responses", kMessages};

std::string_view anthropic_type(int status) {
  if (status == 404) return "not_found_error";
  if (status == 503) return "overloaded_error";
  return status >= 400 && status < 500 ? "invalid_request_error" : "api_error";
}

}  // namespace

StreamWords::StreamWords(std::string_view target)
    : streams_(std::find(kStreamed.begin(), kStreamed.end(), target) != kStreamed.end()),
      anthropic_(target == kMessages) {}

std::string StreamWords::ping() const {
  return anthropic_ ? "event: ping\ndata: {\"type\":\"ping\"}\n\n" : std::string(kPingComment);
}

std::string StreamWords::failure(int status, json::object const& problem) const {
  if (!anthropic_) return "data: " + to_ascii_json_text(problem) + "\n\n";
  auto const* error = get_object(problem, "error");
  auto const message =
      error == nullptr ? std::string() : get_string(*error, "message").value_or("");
  json::object const event{{"type", "error"},
                           {"error", {{"type", anthropic_type(status)}, {"message", message}}}};
  return "event: error\ndata: " + to_ascii_json_text(event) + "\n\n";
}

}  // namespace homelab::api
