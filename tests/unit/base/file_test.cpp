#include "base/os/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "support/temp_dir.h"

namespace homelab::os {
namespace {

using ::homelab::test::slurp;
using ::homelab::test::TempDir;
using ::testing::HasSubstr;

std::span<std::byte const> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::size_t entries_in(Path const& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(File, ADescriptorIsClosedWhenItsOwnerGoes) {
  int number = -1;
  {
    UniqueFd owner = open_file("/dev/null", O_RDONLY).value();
    number = owner.get();
    UniqueFd other = std::move(owner);
    EXPECT_FALSE(owner.valid());  // NOLINT(bugprone-use-after-move): that is what is tested
    EXPECT_EQ(other.get(), number);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(File, AssigningClosesTheOldDescriptor) {
  UniqueFd first = open_file("/dev/null", O_RDONLY).value();
  int const old = first.get();
  UniqueFd second = open_file("/dev/null", O_RDONLY).value();
  int const kept = second.get();
  first = std::move(second);
  EXPECT_FALSE(is_open(old));
  EXPECT_EQ(first.get(), kept);
  EXPECT_EQ(first.release(), kept);
  EXPECT_TRUE(is_open(kept));
  ::close(kept);
}

TEST(File, DescriptorsAreNotInherited) {
  UniqueFd const file = open_file("/dev/null", O_RDONLY).value();
  EXPECT_NE(::fcntl(file.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(File, OpeningWhatIsNotThereNamesIt) {
  auto const file = open_file("/no/such/file", O_RDONLY);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, Code::kNotFound);
  EXPECT_THAT(file.error().message, HasSubstr("/no/such/file"));
}

TEST(File, OpenAtStaysInItsFolder) {
  TempDir const folder;
  folder.write("a/x", "content");
  UniqueFd const handle = open_file(folder / "a", O_RDONLY | O_DIRECTORY).value();
  EXPECT_TRUE(open_at(handle.get(), "x", O_RDONLY));
  EXPECT_EQ(open_at(handle.get(), "y", O_RDONLY).error().code, Code::kNotFound);
}

TEST(File, ReadingIsBounded) {
  TempDir const folder;
  auto const file = folder.write("x", std::string(100'000, 'y'));
  EXPECT_EQ(read_file(file, 100'000)->size(), 100'000U);
  EXPECT_EQ(read_file(file, 99'999).error().code, Code::kResourceExhausted);
  EXPECT_EQ(read_file(folder.write("empty", ""), 10), "");
  EXPECT_FALSE(read_file(folder.path(), 10));
  EXPECT_GT(read_file("/proc/self/status", 100'000)->size(), 100U)
      << "files without a size are read to their end";
}

TEST(File, WritingAtAnOffsetLeavesAHoleOfZeros) {
  TempDir const folder;
  UniqueFd const file = open_file(folder / "x", O_RDWR | O_CREAT).value();
  ASSERT_TRUE(write_all_at(file.get(), bytes_of("abc"), 5));
  ASSERT_TRUE(write_all_at(file.get(), bytes_of(""), 100));
  EXPECT_EQ(slurp(folder / "x"), std::string("\0\0\0\0\0abc", 8));
  EXPECT_TRUE(sync_data(file.get()));
}

TEST(File, WritingToAReadOnlyDescriptorIsAnError) {
  TempDir const folder;
  UniqueFd const file = open_file(folder.write("x", ""), O_RDONLY).value();
  EXPECT_FALSE(write_all_at(file.get(), bytes_of("abc"), 0));
}

TEST(File, ADurableWriteReplacesTheWholeFileAndLeavesNothingBehind) {
  TempDir const folder;
  auto const file = folder.write("x", "a much longer text than the new one");
  ASSERT_TRUE(write_file_durably(file, "new"));
  EXPECT_EQ(slurp(file), "new");
  EXPECT_EQ(entries_in(folder.path()), 1U);
}

TEST(File, ADurableWriteHasTheUsersModeAndFollowsNoPlantedLink) {
  TempDir const folder;
  auto const target = folder.write("target", "untouched");
  std::filesystem::create_symlink(target, folder / "link");
  mode_t const before = ::umask(0027);
  ASSERT_TRUE(write_file_durably(folder / "link", "new"));
  ::umask(before);
  EXPECT_EQ(slurp(target), "untouched");
  EXPECT_EQ(stat_link(folder / "link")->st_mode & 07777U, 0640U);
  EXPECT_TRUE(S_ISREG(stat_link(folder / "link")->st_mode));
}

TEST(File, AFailedDurableWriteKeepsTheOldFileAndRemovesItsTemporary) {
  TempDir const folder;
  folder.write("x", "old");
  EXPECT_EQ(write_file_durably(folder / "missing/x", "new").error().code, Code::kNotFound);
  std::filesystem::create_directory(folder / "d");
  EXPECT_FALSE(write_file_durably(folder / "d", "a file cannot replace a folder"));
  EXPECT_EQ(entries_in(folder.path()), 2U);
  // A full disk, made with a limit on the file size in a child.
  pid_t const child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit const tiny{10, 10};
    ::setrlimit(RLIMIT_FSIZE, &tiny);
    ::_exit(write_file_durably(folder / "x", std::string(100, 'n')) ? 1 : 0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(slurp(folder / "x"), "old");
  EXPECT_EQ(entries_in(folder.path()), 2U);
}

TEST(File, FoldersAreMadeWithTheirParentsAndMayExist) {
  TempDir const folder;
  EXPECT_TRUE(make_folders(folder / "a/b/c"));
  EXPECT_TRUE(make_folders(folder / "a/b/c"));
  EXPECT_TRUE(make_folders(folder / "d/e//"));
  EXPECT_TRUE(std::filesystem::is_directory(folder / "d/e"));
  EXPECT_TRUE(std::filesystem::is_directory(folder / "a/b/c"));
  folder.write("file", "");
  EXPECT_FALSE(make_folders(folder / "file"));
  EXPECT_FALSE(make_folders(folder / "file/below"));
}

TEST(File, RenameAndRemove) {
  TempDir const folder;
  folder.write("a", "1");
  folder.write("b", "2");
  ASSERT_TRUE(rename_file(folder / "a", folder / "b"));
  EXPECT_EQ(slurp(folder / "b"), "1");
  EXPECT_EQ(rename_file(folder / "a", folder / "c").error().code, Code::kNotFound);
  EXPECT_TRUE(remove_file(folder / "b"));
  EXPECT_TRUE(remove_file(folder / "b")) << "what is gone needs no removing";
  EXPECT_FALSE(remove_file(folder.path()));
}

TEST(File, StatKnowsLinksFromTargets) {
  TempDir const folder;
  auto const file = folder.write("file", "abc");
  std::filesystem::create_symlink("file", folder / "link");
  std::filesystem::create_symlink("nowhere", folder / "dangling");
  EXPECT_TRUE(S_ISLNK(stat_link(folder / "link")->st_mode));
  EXPECT_EQ(stat_target(folder / "link")->st_size, 3);
  EXPECT_EQ(stat_target(folder / "dangling").error().code, Code::kNotFound);
  EXPECT_TRUE(stat_link(folder / "dangling"));
  EXPECT_EQ(stat_link(file / "below").error().code, Code::kNotFound);
}

TEST(File, SpaceIsThatOfTheNearestFolderThatExists) {
  TempDir const folder;
  auto const here = disk_space(folder.path());
  auto const below = disk_space(folder / "not/yet/made");
  ASSERT_TRUE(here && below);
  EXPECT_GT(here->total_bytes, 0U);
  EXPECT_LE(here->free_bytes, here->total_bytes);
  EXPECT_EQ(below->total_bytes, here->total_bytes);
  EXPECT_TRUE(disk_space("relative/and/missing"));
}

TEST(File, SyncingAFolderNeedsAFolder) {
  TempDir const folder;
  EXPECT_TRUE(sync_folder(folder.path()));
  EXPECT_FALSE(sync_folder(folder / "missing"));
  EXPECT_FALSE(sync_folder(folder.write("file", "")));
}

}  // namespace
}  // namespace homelab::os
