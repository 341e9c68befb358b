#include "base/os/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temp_dir.h"

namespace homelab::os {
namespace {

class AvailableMemory : public testing::Test {
 protected:
  void SetUp() override {
    root_.write("proc/meminfo", "MemTotal:  8000 kB\nMemFree: 10 kB\nMemAvailable:    4000 kB\n");
    root_.write("proc/self/cgroup", "0::/a/b\n");
  }
  void limit(std::string const& group, std::string const& max, std::string const& used,
             std::string const& stat) {
    root_.write("sys/fs/cgroup/" + group + "memory.max", max + "\n");
    root_.write("sys/fs/cgroup/" + group + "memory.current", used + "\n");
    root_.write("sys/fs/cgroup/" + group + "memory.stat", stat);
  }
  [[nodiscard]] std::uint64_t available() const { return available_memory(root_.path()).value(); }

  test::TempDir root_;
};

TEST_F(AvailableMemory, IsTheKernelsEstimate) { EXPECT_EQ(available(), 4000U * 1024U); }

TEST_F(AvailableMemory, IsWhatTheControlGroupHasLeft) {
  limit("a/b/", "1000000", "600000", "anon 5\ninactive_file 100000\nactive_file 7\n");
  EXPECT_EQ(available(), 500000U) << "pages of files that nobody uses do not count as used";
}

TEST_F(AvailableMemory, AGroupAboveMayBeNarrower) {
  limit("a/b/", "max", "600000", "");
  limit("a/", "700000", "600000", "");
  EXPECT_EQ(available(), 100000U);
}

TEST_F(AvailableMemory, IsNothingWhenTheGroupIsBeyondItsLimit) {
  limit("a/b/", "1000", "2000", "");
  EXPECT_EQ(available(), 0U);
}

TEST_F(AvailableMemory, InsideAContainerTheGroupIsTheTop) {
  root_.write("proc/self/cgroup", "0::/\n");
  limit("", "5000", "1000", "");
  EXPECT_EQ(available(), 4000U);
}

TEST_F(AvailableMemory, AKernelThatDoesNotSayIsAnError) {
  root_.write("proc/meminfo", "MemTotal:  8000 kB\n");
  EXPECT_EQ(available_memory(root_.path()).error().code, Code::kUnavailable);
}

TEST(ProcessMemory, CountsOwnAndMappedBytes) {
  auto const memory = process_memory(::getpid());
  ASSERT_TRUE(memory);
  EXPECT_GT(memory->own_bytes, 0U);
  EXPECT_GT(memory->file_bytes, 0U);
  EXPECT_EQ(memory->total(), memory->own_bytes + memory->file_bytes);
}

TEST(ProcessMemory, OfNobodyThereIsNone) { EXPECT_FALSE(process_memory(4194304)); }

}  // namespace
}  // namespace homelab::os
