#include "performance_writer.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

namespace homelab::registry {
namespace {

using namespace std::chrono_literals;

/// A disk that a test can hold up.
class SlowDisk {
 public:
  Status write(std::vector<PerformanceRow> const& batch) {
    std::unique_lock lock(mutex_);
    ++calls_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    if (failures_ > 0) {
      --failures_;
      return fail(Code::kUnavailable, "the disk is away");
    }
    for (PerformanceRow const& row : batch) written_.push_back(row.output_tokens);
    return {};
  }
  PerformanceWriter::Write writer() {
    return [this](std::vector<PerformanceRow> const& batch) { return write(batch); };
  }
  void hold() { set_open(false); }
  void let_go() { set_open(true); }
  void fail_next(int count) { failures_ = count; }
  void wait_for_call() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return calls_ > 0; });
  }
  [[nodiscard]] std::vector<std::int64_t> const& written() const { return written_; }

 private:
  void set_open(bool open) {
    std::lock_guard const guard(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int calls_ = 0;
  int failures_ = 0;
  std::vector<std::int64_t> written_;
};

PerformanceRow numbered(std::int64_t number) {
  PerformanceRow row;
  row.output_tokens = number;
  return row;
}

TEST(PerformanceWriter, WritesInOrderAndFlushWaitsForIt) {
  SlowDisk disk;
  PerformanceWriter writer(disk.writer(), 1ms);
  for (int i = 0; i < 1000; ++i) writer.push(numbered(i));
  writer.flush();
  ASSERT_EQ(disk.written().size(), 1000U);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(disk.written()[static_cast<std::size_t>(i)], i);
}

TEST(PerformanceWriter, AFullQueueDropsAndCountsInsteadOfWaiting) {
  SlowDisk disk;
  disk.hold();
  PerformanceWriter writer(disk.writer(), 1ms);
  writer.push(numbered(0));
  disk.wait_for_call();
  for (std::size_t i = 0; i < PerformanceWriter::kMaxQueued + 10; ++i) writer.push(numbered(1));
  EXPECT_EQ(writer.dropped(), 10U);
  disk.let_go();
  writer.flush();
  EXPECT_EQ(disk.written().size(), PerformanceWriter::kMaxQueued + 1);
}

TEST(PerformanceWriter, EndingItWritesWhatIsQueued) {
  SlowDisk disk;
  disk.hold();
  {
    PerformanceWriter writer(disk.writer(), 1ms);
    for (int i = 0; i < 700; ++i) writer.push(numbered(i));
    disk.let_go();
  }
  EXPECT_EQ(disk.written().size(), 700U);
}

TEST(PerformanceWriter, ATroubledDiskIsTriedAgain) {
  SlowDisk disk;
  disk.fail_next(2);
  PerformanceWriter writer(disk.writer(), 1ms);
  writer.push(numbered(5));
  writer.flush();
  EXPECT_EQ(disk.written(), std::vector<std::int64_t>{5});
  EXPECT_EQ(writer.dropped(), 0U);
}

TEST(PerformanceWriter, ADeadDiskCostsTheRowsAndIsCounted) {
  SlowDisk disk;
  disk.fail_next(3);
  PerformanceWriter writer(disk.writer(), 1ms);
  writer.push(numbered(5));
  writer.flush();
  EXPECT_TRUE(disk.written().empty());
  EXPECT_EQ(writer.dropped(), 1U);
  writer.push(numbered(6));
  writer.flush();
  EXPECT_EQ(disk.written(), std::vector<std::int64_t>{6});
}

TEST(PerformanceWriter, FlushOfAnEmptyQueueReturnsAtOnce) {
  SlowDisk disk;
  PerformanceWriter writer(disk.writer(), 1ms);
  writer.flush();
  EXPECT_TRUE(disk.written().empty());
}

}  // namespace
}  // namespace homelab::registry
