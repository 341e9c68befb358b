#include "target.h"

#include <gtest/gtest.h>

namespace homelab::http {
namespace {

TEST(Target, SplitsPathAndQueryWithoutDecoding) {
  auto const target = parse_target("/api/models/a%20b?x=1?y");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/api/models/a%20b");
  EXPECT_EQ(target->query, "x=1?y");
}

TEST(Target, TakesTheAbsoluteFormThatProxiesUse) {
  auto const target = parse_target("HTTP://host:8000/a?b");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/a");
  EXPECT_EQ(target->query, "b");
  auto const bare = parse_target("http://host?q");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->path, "/");
  EXPECT_EQ(bare->query, "q");
}

TEST(Target, TakesTheAsteriskOfOptions) {
  auto const target = parse_target("*");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "*");
}

TEST(Target, KeepsBytesOutsideAscii) { EXPECT_TRUE(parse_target("/caf\xC3\xA9")); }

TEST(Target, RefusesWhatNoClientShouldSend) {
  using namespace std::string_view_literals;
  for (std::string_view const text :
       {""sv, "a"sv, "a/b"sv, "/a b"sv, "/a\tb"sv, "/a#b"sv, "/%"sv, "/%4"sv, "/%zz"sv, "/a\0b"sv,
        "/\x7F"sv, "http://"sv, "http:///x"sv, "ftp://host/x"sv, "host:80"sv}) {
    EXPECT_FALSE(parse_target(text)) << text;
  }
}

TEST(Target, AllowsAnyEscapeInTheQuery) {
  auto const target = parse_target("/a?b=%");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->query, "b=%");
}

}  // namespace
}  // namespace homelab::http
