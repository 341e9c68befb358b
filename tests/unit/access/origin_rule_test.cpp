#include "access/origin_rule.h"

#include <gtest/gtest.h>

namespace homelab::access {
namespace {

constexpr auto kHost = "192.168.1.5:8000";

TEST(OriginRule, always_allows_the_servers_own_page_also_behind_a_proxy_that_ends_tls) {
  for (auto const& rule : {OriginRule({}), OriginRule({"https://other.example"})}) {
    EXPECT_TRUE(rule.allows("http://192.168.1.5:8000", kHost));
    EXPECT_TRUE(rule.allows("https://LLM.example", "llm.example"));
    EXPECT_FALSE(rule.allows("http://192.168.1.5:8001", kHost));
  }
}

TEST(OriginRule, allows_pages_of_this_machine_unless_the_owner_lists_others) {
  for (auto const* origin : {"http://localhost:3000", "https://127.0.0.1:8443", "http://[::1]:5173",
                             "http://app.localhost"})
    EXPECT_TRUE(OriginRule({}).allows(origin, kHost)) << origin;
  EXPECT_FALSE(OriginRule({"https://other.example"}).allows("http://localhost:3000", kHost));
}

TEST(OriginRule, refuses_all_other_pages) {
  for (auto const* origin :
       {"http://evil.example", "null", "", "http://localhost.evil.example", "file://", "://",
        "http://", "http://127.0.0.1.evil.example", "app://localhost"})
    EXPECT_FALSE(OriginRule({}).allows(origin, kHost)) << origin;
  EXPECT_FALSE(OriginRule({}).allows("http://", ""));
}

TEST(OriginRule, compares_scheme_name_and_port_of_what_the_owner_lists) {
  OriginRule const rule({"https://Chat.example", "http://nas:*"});
  EXPECT_TRUE(rule.allows("https://chat.example", kHost));
  EXPECT_TRUE(rule.allows("http://nas", kHost));
  EXPECT_TRUE(rule.allows("http://nas:1234", kHost));
  EXPECT_FALSE(rule.allows("http://chat.example", kHost));
  EXPECT_FALSE(rule.allows("https://chat.example:444", kHost));
  EXPECT_FALSE(rule.allows("https://nas", kHost));
  EXPECT_FALSE(rule.allows("http://nas.evil.example:80", kHost));
}

TEST(OriginRule, lets_every_page_in_when_the_owner_says_so) {
  EXPECT_TRUE(OriginRule({"*"}).any());
  EXPECT_TRUE(OriginRule({"*"}).allows("http://evil.example", kHost));
  EXPECT_FALSE(OriginRule({}).any());
}

}  // namespace
}  // namespace homelab::access
