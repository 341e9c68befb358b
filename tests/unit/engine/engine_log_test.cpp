#include "engine_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temp_dir.h"

namespace homelab::engine {
namespace {

using Lines = std::vector<std::string>;

TEST(LineRing, JoinsPiecesAndSkipsBlankLines) {
  LineRing ring;
  ring.append("fir");
  ring.append("st\n\n  \r\nsecond\nopen");
  EXPECT_EQ(ring.lines(), (Lines{"first", "second", "open"}));
}

TEST(LineRing, KeepsTheLastLinesAndCutsLongOnes) {
  LineRing ring(2, 4);
  ring.append("one\ntwo\nthree\n");
  EXPECT_EQ(ring.lines(), (Lines{"two", "thre"}));
}

TEST(EngineLogReason, IsTheLastErrorLineWithoutItsMark) {
  EXPECT_EQ(reason_in({"error: early", "info", "error: the tokenizer is unknown", "cleaning up"}),
            "the tokenizer is unknown");
}

TEST(EngineLogReason, IsTheLastLinesWhenThereIsNoErrorLine) {
  EXPECT_EQ(reason_in({"a", "b", "c"}, 2), "b | c");
  EXPECT_EQ(reason_in({}), "");
}

TEST(EngineLogReason, PrefersWhatIsNoEverydayRemark) {
  EXPECT_EQ(reason_in({"GGML_ASSERT(x) failed", "1.2.3 I slot release", "1.2.4 W low memory",
                       "1.2.5 D tick"}),
            "GGML_ASSERT(x) failed");
  EXPECT_EQ(reason_in({"1.2.3 I slot launch", "1.2.5 D tick"}),
            "1.2.3 I slot launch | 1.2.5 D tick");
}

TEST(EngineLog, ReadsThePipeAndWritesTheFileUntilTheEnd) {
  test::TempDir folder;
  auto pipe = os::make_pipe();
  ASSERT_TRUE(pipe);
  EngineLog log(std::move(pipe->read_end), folder / "engine.log");
  EXPECT_TRUE(log.drain());
  EXPECT_EQ(log.lines(), Lines{});
  std::string const text = "hello\nworld\n";
  ASSERT_EQ(::write(pipe->write_end.get(), text.data(), text.size()),
            static_cast<ssize_t>(text.size()));
  EXPECT_TRUE(log.drain());
  EXPECT_EQ(log.lines(), (Lines{"hello", "world"}));
  pipe->write_end.reset();
  EXPECT_FALSE(log.drain());
  EXPECT_EQ(test::slurp(folder / "engine.log"), text);
}

TEST(EngineLog, TheFileStaysWithinItsBound) {
  test::TempDir folder;
  auto pipe = os::make_pipe();
  ASSERT_TRUE(pipe);
  EngineLog log(std::move(pipe->read_end), folder / "engine.log");
  std::string const line(4095, 'x');
  for (int i = 0; i < 600; ++i) {
    std::string const text = line + "\n";
    ASSERT_EQ(::write(pipe->write_end.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
    ASSERT_TRUE(log.drain());
  }
  EXPECT_LE(std::filesystem::file_size(folder / "engine.log"), LogFile::kLimitBytes);
  EXPECT_LE(std::filesystem::file_size(folder / "engine.log.old"), LogFile::kLimitBytes);
  EXPECT_EQ(log.lines().size(), 400U);
}

}  // namespace
}  // namespace homelab::engine
