#include "engine/log_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "log_book.h"
#include "support/temp_dir.h"

namespace homelab::engine {
namespace {

class LogFileTest : public testing::Test {
 protected:
  test::TempDir folder_;
  std::shared_ptr<LogFile> log_ = std::make_shared<LogFile>(folder_ / "e.log");
};

TEST_F(LogFileTest, GivesTheLastLines) {
  EXPECT_EQ(log_->tail(10), "");
  log_->append("one\ntwo\nthr");
  log_->append("ee\n");
  EXPECT_EQ(log_->tail(10), "one\ntwo\nthree\n");
  EXPECT_EQ(log_->tail(2), "two\nthree\n");
  EXPECT_EQ(log_->tail(1), "three\n");
  EXPECT_EQ(log_->tail(0), "");
  log_->append("unfinished");
  EXPECT_EQ(log_->tail(1), "unfinished");
}

TEST_F(LogFileTest, TheTailReachesIntoTheFileBefore) {
  std::string const filler(LogFile::kLimitBytes - 5, 'x');
  log_->append(filler + "\n");
  log_->append("after\n");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "e.log.old"));
  EXPECT_EQ(log_->tail(2), filler + "\nafter\n");
}

TEST_F(LogFileTest, WhoFollowsGetsTheTailAndThenAllThatComes) {
  log_->append("old\nlast\n");
  std::string heard;
  int ends = 0;
  log_->follow(1, [&](std::string_view text, bool ended) {
    heard += text;
    ends += ended ? 1 : 0;
    return true;
  });
  log_->append("new\n");
  EXPECT_EQ(heard, "last\nnew\n");
  EXPECT_EQ(ends, 0);
  log_->end();
  log_->end();
  EXPECT_EQ(ends, 1);
}

TEST_F(LogFileTest, WhoWantsNoMoreGetsNoMore) {
  int calls = 0;
  log_->follow(1, [&](std::string_view, bool) { return ++calls < 2; });
  for (int i = 0; i < 5; ++i) log_->append("x\n");
  log_->end();
  EXPECT_EQ(calls, 2);
}

TEST_F(LogFileTest, AtItsEndFollowingEndsAtOnceAndTheTextStays) {
  log_->append("last words\n");
  log_->end();
  std::string heard;
  bool over = false;
  log_->follow(5, [&](std::string_view text, bool ended) {
    heard += text;
    over = ended;
    return true;
  });
  EXPECT_EQ(heard, "last words\n");
  EXPECT_TRUE(over);
}

TEST_F(LogFileTest, ItsFilesGoWithIt) {
  log_->append("x\n");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "e.log"));
  log_.reset();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "e.log"));
}

TEST_F(LogFileTest, ABookKeepsTheLatestOfEachModelUpToItsBound) {
  LogBook book;
  book.put("running", log_);
  for (std::size_t i = 0; i < LogBook::kMost; ++i)
    book.put("m" + std::to_string(i),
             std::make_shared<LogFile>(folder_ / (std::to_string(i) + ".log")));
  EXPECT_EQ(book.find("running"), log_) << "a log that somebody else has, too, goes last";
  EXPECT_FALSE(book.find("m0"));
  EXPECT_TRUE(book.find("m1"));
  EXPECT_FALSE(book.find("unknown"));
}

}  // namespace
}  // namespace homelab::engine
