#include "http/message.h"

#include <gtest/gtest.h>

namespace homelab::http {
namespace {

TEST(Headers, FindsAFieldWhateverItsCase) {
  Headers headers;
  headers.add("Content-Type", "text/html");
  EXPECT_EQ(headers.find("content-TYPE"), "text/html");
  EXPECT_EQ(headers.find("content"), std::nullopt);
}

TEST(Headers, SetReplacesEveryFieldOfThatNameAndKeepsTheOthersInOrder) {
  Headers headers;
  headers.add("a", "1");
  headers.add("X", "old");
  headers.add("b", "2");
  headers.add("x", "older");
  headers.set("x", "new");
  std::vector<std::pair<std::string, std::string>> const expected = {
      {"a", "1"}, {"X", "new"}, {"b", "2"}};
  EXPECT_EQ(headers.fields(), expected);
}

TEST(Headers, SetTakesAViewIntoItself) {
  Headers headers;
  headers.add("a", std::string(100, 'v'));
  headers.add("A", "second");
  headers.set("a", *headers.find("a"));
  EXPECT_EQ(headers.find("a"), std::string(100, 'v'));
}

TEST(Headers, AddKeepsSeveralFieldsOfOneName) {
  Headers headers;
  headers.add("link", "1");
  headers.add("link", "2");
  EXPECT_EQ(headers.fields().size(), 2U);
  EXPECT_EQ(headers.find("link"), "1");
}

TEST(Request, DecodesQueryValuesAsFormsAreEncoded) {
  Request request;
  request.query = "a=b+c%20d&empty=&flag&a=second&n%61me=x&broken=%zz";
  EXPECT_EQ(request.query_value("a"), "b c d");
  EXPECT_EQ(request.query_value("empty"), "");
  EXPECT_EQ(request.query_value("flag"), "");
  EXPECT_EQ(request.query_value("name"), "x");
  EXPECT_EQ(request.query_value("broken"), "%zz");
  EXPECT_EQ(request.query_value("absent"), std::nullopt);
}

TEST(Request, HasNoQueryValuesWithoutAQuery) { EXPECT_EQ(Request{}.query_value(""), std::nullopt); }

TEST(Request, GivesAnEmptyPathValueWhenThereIsNone) {
  Request request;
  request.path_values = {{"name", "phi 2"}};
  EXPECT_EQ(request.path_value("name"), "phi 2");
  EXPECT_EQ(request.path_value("other"), "");
}

}  // namespace
}  // namespace homelab::http
