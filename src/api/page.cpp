// The web page, its files and the documentation: all of it from inside the program, nothing from
// elsewhere.
#include "dialects.h"
#include "embedded_files.h"
#include "replies.h"
#include "route_table.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;
using http::Response;

void protect(Response& response) {
  // No inline script, no other origin: an unescaped name could still not run anything.
  response.headers.set("content-security-policy",
                       "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; "
                       "base-uri 'none'; form-action 'none'");
  response.headers.set("x-content-type-options", "nosniff");
  response.headers.set("referrer-policy", "no-referrer");
}

Reply embedded_reply(Request const& request, std::string_view name) {
  auto const file = embedded_file(name);
  if (!file) return detail_reply(404, "Not Found");
  bool const known = request.headers.find("if-none-match") == file->etag;
  Response response = known ? text_reply(304, "", file->content_type)
                            : text_reply(200, std::string(file->content), file->content_type);
  response.headers.set("etag", file->etag);
  response.headers.set("cache-control", "no-cache");
  protect(response);
  return response;
}

Reply html_reply(std::string html) {
  Response response = text_reply(200, std::move(html), "text/html; charset=utf-8");
  protect(response);
  return response;
}

}  // namespace

void add_page_routes(http::Router& router, std::string const& version) {
  router.add("GET", "/",
             [](Request const& request) { return embedded_reply(request, "index.html"); });
  router.add("GET", "/static/{file}", [](Request const& request) {
    return embedded_reply(request, request.path_value("file"));
  });
  router.add("GET", "/docs", [version](Request const&) { return html_reply(docs_html(version)); });
  router.add("GET", "/openapi.json", [version](Request const&) {
    return text_reply(200, openapi_json(version), "application/json");
  });
}

}  // namespace homelab::api
