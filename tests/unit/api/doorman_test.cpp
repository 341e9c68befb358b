#include "doorman.h"

#include <gtest/gtest.h>

#include <set>

#include "fakes.h"
#include "route_needs.h"

namespace homelab::api {
namespace {

using access::Need;
using test::ApiFixture;

http::Request request(std::string method, std::string path,
                      std::map<std::string, std::string> const& headers) {
  http::Request made;
  made.method = std::move(method);
  made.path = made.target = std::move(path);
  made.remote = "127.0.0.1:5000";
  for (auto const& [name, value] : headers) made.headers.set(name, value);
  return made;
}

/// The status with which the router's doorman answers; 0: it lets the request in.
int answer(ApiFixture& api, http::Request const& asked) {
  auto const match = api.router.match(asked.method, asked.path);
  auto const entry = api.router.enter(asked, match.pattern);
  return entry.answer ? entry.answer->status : 0;
}

TEST(RouteNeeds, name_exactly_the_routes_that_there_are) {
  ApiFixture api;
  std::set<std::pair<std::string, std::string>> served;
  std::set<std::pair<std::string, std::string>> written;
  for (auto const& [method, pattern] : api.router.routes())
    if (!pattern.starts_with("/hub/")) served.emplace(method, pattern);
  for (auto const& row : route_needs()) written.emplace(row.method, row.pattern);
  for (auto const& [method, pattern] : served)
    EXPECT_TRUE(written.contains({method, pattern}))
        << method << ' ' << pattern << " is missing in src/api/route_needs.cpp";
  for (auto const& [method, pattern] : written)
    EXPECT_TRUE(served.contains({method, pattern}))
        << method << ' ' << pattern << " is in src/api/route_needs.cpp, but there is no such route";
}

TEST(RouteNeeds, take_a_forgotten_route_for_one_that_manages) {
  EXPECT_EQ(need_of("GET", "/api/new"), Need::kManage);
  EXPECT_EQ(need_of("POST", "/api/generate"), Need::kUse);
  EXPECT_EQ(need_of("HEAD", "/hub/{org}/{name}/resolve/{rest...}"), Need::kUse);
  EXPECT_EQ(need_of("HEAD", "/health"), Need::kOpen);
  EXPECT_EQ(need_of("DELETE", "/api/models/{name}"), Need::kManage);
  EXPECT_EQ(need_of("PUT", ""), Need::kOpen);
}

TEST(RouteNeeds, leave_nothing_open_that_changes_something) {
  for (auto const& row : route_needs()) {
    EXPECT_TRUE(row.need != Need::kOpen || row.method == "GET") << row.pattern;
  }
}

TEST(Doorman, lets_programs_in_and_refuses_foreign_names_and_pages) {
  ApiFixture api;
  std::string const host = "127.0.0.1:8000";
  EXPECT_EQ(answer(api, request("POST", "/api/orchestrate/unload", {{"host", host}})), 0);
  EXPECT_EQ(answer(api, request("GET", "/api/models", {{"host", "evil.example"}})), 403);
  EXPECT_EQ(answer(api, request("GET", "/health", {{"host", "evil.example"}})), 0);
  EXPECT_EQ(answer(api, request("GET", "/nowhere", {{"host", "evil.example"}})), 0);
  EXPECT_EQ(answer(api, request("POST", "/api/orchestrate/unload",
                                {{"host", host}, {"origin", "http://evil.example"}})),
            403);
  EXPECT_EQ(answer(api, request("POST", "/api/orchestrate/unload",
                                {{"host", host}, {"origin", "http://127.0.0.1:8000"}})),
            0);
  EXPECT_EQ(answer(api, request("POST", "/api/orchestrate/unload",
                                {{"host", host}, {"sec-fetch-site", "cross-site"}})),
            403);
  // Reading is the browser's to refuse: no field in the answer allows it.
  EXPECT_EQ(answer(api, request("GET", "/api/models",
                                {{"host", host}, {"origin", "http://evil.example"}})),
            0);
}

TEST(Doorman, answers_preflights_of_allowed_pages_with_their_origin_and_headers) {
  ApiFixture api;
  auto const ask = [&](std::string const& origin) {
    auto const asked = request("OPTIONS", "/api/models",
                               {{"host", "127.0.0.1:8000"},
                                {"origin", origin},
                                {"access-control-request-method", "DELETE"},
                                {"access-control-request-headers", "x-one, x-two"}});
    return api.router.enter(asked, "").answer.value_or(http::Response{});
  };
  auto const response = ask("http://localhost:3000");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "OK");
  EXPECT_EQ(response.headers.find("access-control-allow-origin"), "http://localhost:3000");
  EXPECT_EQ(response.headers.find("access-control-allow-headers"), "x-one, x-two");
  EXPECT_EQ(response.headers.find("access-control-max-age"), "600");
  EXPECT_EQ(response.headers.find("access-control-allow-methods"),
            "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
  EXPECT_EQ(ask("http://a.example").status, 400);
  EXPECT_FALSE(ask("http://a.example").headers.find("access-control-allow-origin"));
}

TEST(Doorman, lets_only_allowed_pages_read_answers) {
  ApiFixture api;
  auto const allowed = [&](std::string const& origin) {
    auto const asked = request("GET", "/api/models", {{"host", "127.0.0.1"}, {"origin", origin}});
    http::Headers headers;
    api.router.filter_head(asked, 200, headers);
    return std::string(headers.find("access-control-allow-origin").value_or("none"));
  };
  EXPECT_EQ(allowed("http://a.example"), "none");
  EXPECT_EQ(allowed("http://localhost:3000"), "http://localhost:3000");
}

TEST(Doorman, answers_in_the_words_of_the_dialect) {
  auto const body = [](std::string_view path) {
    return test::json_of(refusal_in_dialect(path, 403, "no")).as_object();
  };
  EXPECT_EQ(body("/api/models").at("detail").as_string(), "no");
  EXPECT_EQ(body("/v1/models").at("error").as_object().at("message").as_string(), "no");
  EXPECT_EQ(body("/v1/models").at("error").as_object().at("type").as_string(), "permission_error");
  EXPECT_EQ(body("/models/load").at("error").as_object().at("message").as_string(), "no");
  EXPECT_EQ(body("/v1/messages").at("type").as_string(), "error");
  EXPECT_EQ(body("/ollama/api/chat").at("error").as_string(), "no");
  EXPECT_EQ(body("/hub/a/b/resolve/main/x").at("error").as_string(), "no");
}

}  // namespace
}  // namespace homelab::api
