#pragma once
// Small makers of answers that all dialects share.
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "error_status.h"
#include "http/message.h"

namespace homelab::api {

[[nodiscard]] http::Response json_reply(int status, json::value const& body);
[[nodiscard]] http::Response text_reply(
    int status, std::string body, std::string_view content_type = "text/plain; charset=utf-8");
/// E1: {"detail": "<text>"} (contract §2.0).
[[nodiscard]] http::Response detail_reply(int status, std::string_view detail);
[[nodiscard]] http::Response error_reply(Error const& error, Doing doing = Doing::kCall);

}  // namespace homelab::api
