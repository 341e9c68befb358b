#include "cache/disk_facts.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temp_dir.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

std::size_t entries(Path const& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(FileSystemName, KnowsThoseThatMatterAndShowsTheNumberOfOthers) {
  EXPECT_EQ(file_system_name(0xEF53), "ext4");
  EXPECT_EQ(file_system_name(0x6969), "nfs");
  EXPECT_EQ(file_system_name(0xFF534D42), "cifs");
  EXPECT_EQ(file_system_name(0x01021994), "tmpfs");
  EXPECT_EQ(file_system_name(0x12345678), "0x12345678");
}

TEST(FileSystemOf, AnswersForFoldersThatDoNotExistYet) {
  test::TempDir dir;
  auto const there = file_system_of(dir.path());
  auto const later = file_system_of(dir / "not/made/yet");
  ASSERT_TRUE(there && later);
  EXPECT_EQ(there->kind, later->kind);
  EXPECT_GT(there->total_bytes, 0U);
  EXPECT_FALSE(fs::exists(dir / "not"));
}

TEST(LookAtFolder, IsReadyOnlyWhenAFileCouldBeMade) {
  test::TempDir dir;
  auto const state = look_at_folder(dir.path());
  EXPECT_EQ(state.state, FolderState::State::kReady);
  EXPECT_TRUE(state.readable);
  EXPECT_EQ(entries(dir.path()), 0U) << "the trial must leave nothing behind";
}

TEST(LookAtFolder, SaysWhyAPlaceCannotBeUsed) {
  test::TempDir dir;
  dir.write("file", "x");
  fs::create_symlink("nowhere", dir / "dangling");
  EXPECT_EQ(look_at_folder(dir / "new/hub").state, FolderState::State::kAbsent);
  EXPECT_FALSE(fs::exists(dir / "new"));
  auto const file = look_at_folder(dir / "file");
  EXPECT_EQ(file.state, FolderState::State::kDegraded);
  EXPECT_EQ(file.reason, "it is not a folder");
  EXPECT_EQ(look_at_folder(dir / "dangling").reason, "it is a link to something that is missing");
  EXPECT_EQ(look_at_folder(dir / "file/hub").state, FolderState::State::kDegraded);
  // /proc takes no files from anybody, root included.
  auto const proc = look_at_folder("/proc");
  EXPECT_EQ(proc.state, FolderState::State::kDegraded);
  EXPECT_TRUE(proc.readable);
}

TEST(MissingDrive, IsTheDriveBelowTheUsualMountFolders) {
  EXPECT_EQ(missing_drive("/mnt/no-such-drive-here/a/b"), Path("/mnt/no-such-drive-here"));
  EXPECT_EQ(missing_drive("/media/no-such-drive-here"), Path("/media/no-such-drive-here"));
  EXPECT_EQ(missing_drive("/srv/no-such-folder"), std::nullopt);
  EXPECT_EQ(missing_drive("/mnt"), std::nullopt);
}

TEST(TryAbilities, TriesForRealAndLeavesNothingBehind) {
  test::TempDir dir;
  auto const able = try_abilities(dir.path());
  ASSERT_TRUE(able) << able.error().message;
  // What every file system that tests run on can do.
  EXPECT_EQ(able->locks, LockTruth::kExcludes);
  EXPECT_EQ(able->locks_across, LockTruth::kExcludes);
  EXPECT_TRUE(able->symlinks);
  EXPECT_TRUE(able->hard_links);
  EXPECT_TRUE(able->renames);
  EXPECT_TRUE(able->syncs);
  EXPECT_EQ(entries(dir.path()), 0U);
}

TEST(TryAbilities, WorksBelowLocksInAHubFolder) {
  test::TempDir dir;
  fs::create_directories(dir / ".locks");
  ::chmod(dir.path().c_str(), 0555);  // for root this forbids nothing, but the place shows
  ASSERT_TRUE(try_abilities(dir.path()));
  ::chmod(dir.path().c_str(), 0755);
  EXPECT_EQ(entries(dir.path()), 1U);
  EXPECT_EQ(entries(dir / ".locks"), 0U);
}

}  // namespace
}  // namespace homelab::cache
