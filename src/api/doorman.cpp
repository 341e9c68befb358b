#include "doorman.h"

#include <algorithm>
#include <array>

#include "cors.h"
#include "replies.h"

namespace homelab::api {
namespace {

using access::Answer;
using http::Request;
using http::Response;

std::string_view field(Request const& request, std::string_view name) {
  return request.headers.find(name).value_or("");
}

bool below(std::string_view path, std::string_view prefix) {
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

bool is_openai(std::string_view path) {
  static constexpr std::array<std::string_view, 5> kPrefixes{"/v1", "/models", "/tokenize",
                                                             "/detokenize", "/apply-template"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [&](std::string_view prefix) { return below(path, prefix); });
}

/// What OpenAI and Anthropic call an error with that status.
std::string_view error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 429:
      return "rate_limit_error";
    default:
      return "invalid_request_error";
  }
}

int status_of(Answer answer) {
  switch (answer) {
    case Answer::kWelcome:
      return 200;
    case Answer::kForeignHost:
    case Answer::kForeignPage:
      return 403;
  }
  return 403;
}

http::Router::Entry enter(access::Gate const& gate, Request const& request, access::Need need) {
  if (auto answer = preflight(request, gate.origins())) return {std::move(answer), nullptr};
  access::Asked asked;
  asked.method = request.method;
  asked.need = need;
  asked.host = field(request, "host");
  asked.origin = field(request, "origin");
  asked.fetch_site = field(request, "sec-fetch-site");
  auto const decision = gate.decide(asked);
  if (decision.answer == Answer::kWelcome) return {};
  return {refusal_in_dialect(request.path, status_of(decision.answer), decision.reason), nullptr};
}

}  // namespace

Response refusal_in_dialect(std::string_view path, int status, std::string_view reason) {
  if (below(path, "/v1/messages"))
    return json_reply(status, {{"type", "error"},
                               {"error", {{"type", error_type(status)}, {"message", reason}}}});
  if (is_openai(path))
    return json_reply(
        status,
        {{"error",
          {{"message", reason},
           {"type", error_type(status)},
           {"param", nullptr},
           {"code", status == 401 ? json::value("invalid_api_key") : json::value(nullptr)}}}});
  if (below(path, "/ollama") || below(path, "/hub")) return json_reply(status, {{"error", reason}});
  return detail_reply(status, reason);
}

void guard(http::Router& router, std::shared_ptr<access::Gate> const& gate, NeedOf need_of) {
  router.before_all([gate, need_of](Request const& request, std::string_view pattern) {
    return enter(*gate, request, need_of(request.method, pattern));
  });
  router.on_head([gate](Request const& request, int, http::Headers& headers) {
    add_cors(request, gate->origins(), headers);
  });
}

}  // namespace homelab::api
