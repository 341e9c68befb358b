#include "base/os/file_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "support/temp_dir.h"

namespace homelab::os {
namespace {

using ::homelab::test::slurp;
using ::homelab::test::TempDir;

TEST(FileLock, ExcludesASecondTakerUntilItGoes) {
  TempDir const folder;
  auto const path = folder / "x.lock";
  {
    auto const first = FileLock::try_take(path);
    ASSERT_TRUE(first && *first);
    auto const second = FileLock::try_take(path);
    ASSERT_TRUE(second);
    EXPECT_FALSE(*second);
  }
  EXPECT_TRUE(*FileLock::try_take(path));
  EXPECT_TRUE(std::filesystem::exists(path)) << "the file stays";
}

TEST(FileLock, ExcludesOtherProgramsThatUseFlock) {
  TempDir const folder;
  auto const path = folder.write("x.lock", "");
  UniqueFd const other = open_file(path, O_RDWR).value();
  ASSERT_EQ(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_FALSE(*FileLock::try_take(path));
  ASSERT_EQ(::flock(other.get(), LOCK_UN), 0);
  auto const ours = FileLock::try_take(path);
  ASSERT_TRUE(*ours);
  EXPECT_NE(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
}

TEST(FileLock, AnotherProcessIsExcludedAndFreedByDeath) {
  TempDir const folder;
  auto const path = folder / "x.lock";
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  pid_t const child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto const lock = FileLock::try_take(path);
    char const taken = lock && *lock ? 'y' : 'n';
    if (::write(pipe[1], &taken, 1) != 1) ::_exit(1);
    while (true) ::pause();
  }
  char taken = '?';
  ASSERT_EQ(::read(pipe[0], &taken, 1), 1);
  EXPECT_EQ(taken, 'y');
  EXPECT_FALSE(*FileLock::try_take(path));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(*FileLock::try_take(path));
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(FileLock, TheFileIsSharedWithOthersWhateverTheUmask) {
  TempDir const folder;
  mode_t const before = ::umask(0077);
  EXPECT_TRUE(*FileLock::try_take(folder / "x.lock"));
  ::umask(before);
  EXPECT_EQ(stat_link(folder / "x.lock")->st_mode & 0777U, 0664U);
}

TEST(FileLock, WhatStandsInTheFileStays) {
  TempDir const folder;
  auto const path = folder.write("x.lock", "pid 17");
  EXPECT_TRUE(*FileLock::try_take(path));
  EXPECT_EQ(slurp(path), "pid 17");
}

TEST(FileLock, ALockOnAnUnlinkedFileIsNoLock) {
  TempDir const folder;
  auto const path = folder.write("x.lock", "");
  UniqueFd const old = open_file(path, O_RDWR).value();
  ASSERT_EQ(::flock(old.get(), LOCK_EX | LOCK_NB), 0);
  // Old clients remove the file while they hold it; whoever comes next must lock the file that has
  // the name.
  ASSERT_TRUE(remove_file(path));
  auto const lock = FileLock::try_take(path);
  ASSERT_TRUE(lock && *lock);
  EXPECT_TRUE(std::filesystem::exists(path));
  UniqueFd const named = open_file(path, O_RDWR).value();
  EXPECT_NE(::flock(named.get(), LOCK_EX | LOCK_NB), 0) << "the named file is the locked one";
}

TEST(FileLock, WaitsThroughAHolderThatUnlinksWhileReleasing) {
  TempDir const folder;
  auto const path = folder.write("x.lock", "");
  auto old = std::make_unique<UniqueFd>(open_file(path, O_RDWR).value());
  ASSERT_EQ(::flock(old->get(), LOCK_EX | LOCK_NB), 0);
  int asked = 0;
  auto const lock = FileLock::take(path, [&] {
    if (++asked == 2) {
      EXPECT_TRUE(remove_file(path));
      old.reset();
    }
    return asked > 100;
  });
  ASSERT_TRUE(lock) << lock.error().message;
  EXPECT_FALSE(*FileLock::try_take(path));
}

TEST(FileLock, ASymlinkIsRefused) {
  TempDir const folder;
  auto const target = folder.write("victim", "");
  std::filesystem::create_symlink(target, folder / "x.lock");
  EXPECT_FALSE(FileLock::try_take(folder / "x.lock"));
  std::filesystem::create_symlink(folder / "new", folder / "y.lock");
  EXPECT_FALSE(FileLock::try_take(folder / "y.lock"));
  EXPECT_FALSE(std::filesystem::exists(folder / "new"))
      << "nothing is made through a dangling link";
}

TEST(FileLock, AMissingFolderIsAnError) {
  TempDir const folder;
  EXPECT_EQ(FileLock::try_take(folder / "missing/x.lock").error().code, Code::kNotFound);
}

TEST(FileLock, WaitingCanBeGivenUp) {
  TempDir const folder;
  auto const path = folder / "x.lock";
  auto const held = FileLock::try_take(path);
  int asked = 0;
  auto const second = FileLock::take(path, [&] { return ++asked == 2; });
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kCancelled);
  EXPECT_EQ(asked, 2);
}

TEST(FileLock, MovingKeepsTheLock) {
  TempDir const folder;
  auto const path = folder / "x.lock";
  FileLock lock = FileLock::take(path, nullptr).value();
  FileLock const moved = std::move(lock);
  EXPECT_FALSE(*FileLock::try_take(path));
}

TEST(FileLock, OnlyOneOfManyThreadsIsInsideAtATime) {
  TempDir const folder;
  auto const path = folder / "x.lock";
  std::atomic<int> inside{0};
  std::atomic<int> worst{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 3; ++round) {
        auto const lock = FileLock::take(path, nullptr);
        ASSERT_TRUE(lock);
        worst = std::max(worst.load(), ++inside);
        std::this_thread::yield();
        --inside;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(worst, 1);
}

}  // namespace
}  // namespace homelab::os
