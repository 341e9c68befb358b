#include "http/router.h"

#include <gtest/gtest.h>

namespace homelab::http {
namespace {

/// A handler that answers with its own name, so that a test sees which one was found.
Handler named(std::string name) {
  return [name = std::move(name)](Request const&) -> Reply {
    Response response;
    response.body = name;
    return response;
  };
}

std::string found(Router const& router, std::string_view method, std::string_view path) {
  auto const match = router.match(method, path);
  if (match.handler == nullptr) return "";
  return std::get<Response>((*match.handler)(Request{})).body;
}

using Values = std::vector<std::pair<std::string, std::string>>;

TEST(Router, PrefersLiteralSegmentsToVariablesWhateverTheOrderOfRegistration) {
  Router router;
  router.add("GET", "/api/models/{name}", named("variable"));
  router.add("GET", "/api/models/search", named("literal"));
  router.add("GET", "/api/{rest...}", named("rest"));
  EXPECT_EQ(found(router, "GET", "/api/models/search"), "literal");
  EXPECT_EQ(found(router, "GET", "/api/models/phi"), "variable");
  EXPECT_EQ(found(router, "GET", "/api/models/a/b"), "rest");
}

TEST(Router, FallsBackToAVariableRouteWhenTheLiteralOneLacksTheMethod) {
  Router router;
  router.add("POST", "/a/b", named("literal"));
  router.add("GET", "/a/{x}", named("variable"));
  EXPECT_EQ(found(router, "GET", "/a/b"), "variable");
}

TEST(Router, DecodesVariablesOnceAndKeepsAnEncodedSlashInsideItsSegment) {
  Router router;
  router.add("GET", "/hub/{org}/{name}/resolve/{revision}/{path...}", named("file"));
  auto const match = router.match("GET", "/hub/o%20rg/n%2541me/resolve/refs%2Fpr%2F1/a%20b/c.txt");
  EXPECT_EQ(match.path_values, (Values{{"org", "o rg"},
                                       {"name", "n%41me"},
                                       {"revision", "refs/pr/1"},
                                       {"path", "a%20b/c.txt"}}));
}

TEST(Router, DoesNotTreatAnEncodedSlashAsASeparator) {
  Router router;
  router.add("GET", "/a/{x}", named("one"));
  router.add("GET", "/a/{x}/{y}", named("two"));
  EXPECT_EQ(found(router, "GET", "/a/1%2F2"), "one");
}

TEST(Router, VariablesAndRestNeverMatchNothing) {
  Router router;
  router.add("GET", "/a/{x}", named("variable"));
  router.add("GET", "/b/{path...}", named("rest"));
  EXPECT_EQ(router.match("GET", "/a/").handler, nullptr);
  EXPECT_EQ(router.match("GET", "/a").handler, nullptr);
  EXPECT_EQ(router.match("GET", "/b/").handler, nullptr);
  EXPECT_EQ(router.match("GET", "/b").handler, nullptr);
  EXPECT_EQ(found(router, "GET", "/b/c/"), "rest");
}

TEST(Router, MatchesTheRootAndOnlyTheRoot) {
  Router router;
  router.add("GET", "/", named("root"));
  EXPECT_EQ(found(router, "GET", "/"), "root");
  EXPECT_EQ(found(router, "GET", "//"), "");
  EXPECT_EQ(found(router, "GET", "/x"), "");
  EXPECT_EQ(found(router, "GET", ""), "");
  EXPECT_EQ(found(router, "OPTIONS", "*"), "");
}

TEST(Router, NamesTheMethodsOfAPathWhenTheMethodIsWrong) {
  Router router;
  router.add("GET", "/m", named("get"));
  router.add("POST", "/m", named("post"));
  auto const match = router.match("PUT", "/m");
  EXPECT_EQ(match.handler, nullptr);
  EXPECT_EQ(match.allowed, (std::vector<std::string>{"GET", "POST"}));
  EXPECT_TRUE(router.match("PUT", "/other").allowed.empty());
}

TEST(Router, GivesTheBodyLimitOfTheRoute) {
  Router router;
  router.add("POST", "/small", named("small"), 10);
  EXPECT_EQ(router.match("POST", "/small").body_limit_bytes, 10U);
  EXPECT_EQ(router.match("POST", "/none").body_limit_bytes, std::size_t{1} << 20);
}

TEST(Router, AddsTheAllowFieldToTheAnswerOfItsHook) {
  Router router;
  EXPECT_EQ(router.not_found(Request{}).status, 404);
  EXPECT_EQ(router.not_found(Request{}).body, R"({"detail":"Not Found"})");
  router.on_not_allowed([](Request const&, std::vector<std::string> const&) {
    Response response;
    response.status = 405;
    response.body = "no";
    return response;
  });
  Response const response = router.not_allowed(Request{}, {"GET", "POST"});
  EXPECT_EQ(response.headers.find("allow"), "GET, POST");
  EXPECT_EQ(response.body, "no");
}

}  // namespace
}  // namespace homelab::http
