#include "engine/sandbox_report.h"

#include <gtest/gtest.h>

#include "engine_log.h"

namespace homelab::engine {
namespace {

constexpr auto kLine =
    R"(sandbox: {"no_new_privileges":true,"no_tracing":true,"few_capabilities":true,"seccomp":true,"landlock":7})";

TEST(SandboxReport, IsReadFromItsLine) {
  auto const report = parse_sandbox_report(kLine);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->landlock, 7);
  EXPECT_TRUE(report->complete());
}

TEST(SandboxReport, WhatIsNotSaidDoesNotHold) {
  auto const report = parse_sandbox_report(R"(sandbox: {"seccomp":true,"landlock":0})");
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->seccomp);
  EXPECT_FALSE(report->no_tracing);
  EXPECT_FALSE(report->complete());
}

TEST(SandboxReport, OtherLinesAreNone) {
  EXPECT_FALSE(parse_sandbox_report("hello"));
  EXPECT_FALSE(parse_sandbox_report("sandbox: nonsense"));
  EXPECT_FALSE(parse_sandbox_report("sandbox: []"));
}

TEST(SandboxReport, ItsLineIsKeptHoweverMuchIsSaidLater) {
  LineRing ring(2);
  ring.append(std::string(kLine) + "\n");
  for (int i = 0; i < 10; ++i) ring.append("line\n");
  EXPECT_EQ(ring.lines().size(), 2U);
  EXPECT_EQ(ring.sandbox_line(), kLine);
}

}  // namespace
}  // namespace homelab::engine
