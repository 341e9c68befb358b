#include "access/host_rule.h"

#include <gtest/gtest.h>

namespace homelab::access {
namespace {

HostRule rule(std::vector<std::string> allowed = {}, std::string listen = "127.0.0.1") {
  return HostRule({std::move(listen), "Tower.lan", std::move(allowed)});
}

TEST(HostName, is_the_field_without_port_brackets_and_final_dot) {
  EXPECT_EQ(host_name_of("Tower:8000"), "tower");
  EXPECT_EQ(host_name_of("tower.lan.:80"), "tower.lan");
  EXPECT_EQ(host_name_of("[::1]:8000"), "::1");
  EXPECT_EQ(host_name_of("[::1]"), "::1");
  EXPECT_EQ(host_name_of("fe80::1"), "fe80::1");
  EXPECT_EQ(host_name_of("[broken"), "broken");
  EXPECT_EQ(host_name_of(""), "");
}

TEST(HostRule, allows_every_address_because_a_page_cannot_rebind_one) {
  for (auto const* host :
       {"127.0.0.1:8000", "192.168.1.5", "10.0.0.1:80", "[::1]:8000", "[fe80::1]", "8.8.8.8:8000"})
    EXPECT_TRUE(rule().allows(host)) << host;
}

TEST(HostRule, allows_the_names_of_this_machine) {
  for (auto const* host : {"localhost:8000", "LOCALHOST", "app.localhost:3000", "tower",
                           "Tower.lan", "tower.local:8000", "tower.lan.local", ""})
    EXPECT_TRUE(rule().allows(host)) << host;
  EXPECT_TRUE(rule({}, "llm.example.org").allows("llm.example.org:8000"));
}

TEST(HostRule, refuses_every_other_name) {
  for (auto const* host :
       {"evil.example", "localhost.evil.example", "tower.evil.example", "127.0.0.1.evil.example",
        "homelab-llm", "xlocalhost", "1.2.3", "::evil"})
    EXPECT_FALSE(rule().allows(host)) << host;
}

TEST(HostRule, allows_what_the_owner_lists) {
  auto const listed = rule({"homelab-llm", ".example.org", "nas:9000"});
  for (auto const* host :
       {"homelab-llm:8000", "HOMELAB-LLM", "example.org", "a.b.example.org", "nas"})
    EXPECT_TRUE(listed.allows(host)) << host;
  EXPECT_FALSE(listed.allows("badexample.org"));
  EXPECT_FALSE(listed.allows("evil.example"));
  EXPECT_TRUE(rule({"*"}).allows("evil.example"));
}

}  // namespace
}  // namespace homelab::access
