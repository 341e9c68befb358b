#include "replies.h"

#include "json_text.h"

namespace homelab::api {

http::Response json_reply(int status, json::value const& body) {
  return text_reply(status, to_json_text(body), "application/json");
}

http::Response text_reply(int status, std::string body, std::string_view content_type) {
  http::Response response;
  response.status = status;
  response.headers.set("content-type", content_type);
  response.body = std::move(body);
  return response;
}

http::Response detail_reply(int status, std::string_view detail) {
  return json_reply(status, json::object{{"detail", detail}});
}

http::Response error_reply(Error const& error, Doing doing) {
  return detail_reply(http_status(error.code, doing), error.message);
}

}  // namespace homelab::api
