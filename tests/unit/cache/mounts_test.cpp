#include "cache/mounts.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace homelab::cache {
namespace {

constexpr std::string_view kContainer =
    "500 400 0:50 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/a,upperdir=/b/diff\n"
    "501 500 0:51 / /proc rw,nosuid - proc proc rw\n"
    "502 500 8:1 /home/dev/LLM/hf-cache /root/.cache/huggingface rw,relatime - ext4 /dev/sda1 rw\n"
    "503 500 8:1 /var/lib/docker/volumes/x/_data /volume rw - ext4 /dev/sda1 rw\n"
    "504 500 0:60 / /tmp rw - tmpfs tmpfs rw\n"
    "505 500 8:1 /gone//deleted /gone rw - ext4 /dev/sda1 rw\n"
    "506 500 0:70 / /share ro,relatime - nfs4 host:/x rw\n";

TEST(Mountinfo, ReadsWhatTheKernelWrites) {
  auto const mounts = parse_mountinfo(kContainer);
  ASSERT_EQ(mounts.size(), 7U);
  EXPECT_EQ(mounts[0].file_system, "overlay");
  EXPECT_EQ(mounts[2].id, 502U);
  EXPECT_EQ(mounts[2].root, "/home/dev/LLM/hf-cache");
  EXPECT_EQ(mounts[2].point, "/root/.cache/huggingface");
  EXPECT_EQ(mounts[2].source, "/dev/sda1");
  EXPECT_FALSE(mounts[2].read_only);
  EXPECT_TRUE(mounts[6].read_only);
}

TEST(Mountinfo, UndoesOctalEscapesAndKeepsOtherBackslashes) {
  auto const mounts =
      parse_mountinfo("1 0 8:1 /a\\040b /with\\011tab\\134x\\9z\\04 rw - ext4 dev\\040ice rw\n");
  ASSERT_EQ(mounts.size(), 1U);
  EXPECT_EQ(mounts[0].root, "/a b");
  EXPECT_EQ(mounts[0].point, "/with\ttab\\x\\9z\\04");
  EXPECT_EQ(mounts[0].source, "dev ice");
}

TEST(Mountinfo, LeavesOutLinesThatTheKernelNeverWrites) {
  for (std::string_view const line :
       {"", "-", "- - - - - - - - -", "1 0 8:1 / / rw", "1 0 8:1 / / rw - ext4",
        "1 0 8:1 / / rw - ext4 dev", "x 0 8:1 / / rw - ext4 dev rw",
        "1 0 8:1 / relative rw - ext4 dev rw", "99999999999999999999 0 8:1 / / rw - e d rw",
        "1 0 8:1  / rw - ext4 dev rw"})
    EXPECT_TRUE(parse_mountinfo(line).empty()) << line;
  std::string binary(10'000, '\0');
  for (std::size_t i = 0; i < binary.size(); ++i) binary[i] = static_cast<char>(i * 37);
  EXPECT_TRUE(parse_mountinfo(binary).empty());
}

TEST(Mountinfo, KeepsABoundedNumberOfMounts) {
  std::string text;
  for (int i = 0; i < 100'100; ++i) text += "1 0 8:1 / /a rw - ext4 d rw\n";
  EXPECT_EQ(parse_mountinfo(text).size(), 100'000U);
}

TEST(MountOf, IsTheLongestWholeComponentPrefixAndTheLastOfEquals) {
  auto const mounts =
      parse_mountinfo(std::string(kContainer) + "600 500 8:2 / /volume rw - xfs /dev/sdb rw\n");
  EXPECT_EQ(mount_of(mounts, "/root/.cache/huggingface/hub")->id, 502U);
  EXPECT_EQ(mount_of(mounts, "/root/.cache/huggingface")->id, 502U);
  EXPECT_EQ(mount_of(mounts, "/root/.cache/huggingface-other")->id, 500U);
  EXPECT_EQ(mount_of(mounts, "/volume/x")->id, 600U) << "a later mount covers the earlier one";
  EXPECT_EQ(mount_of({}, "/x"), nullptr);
}

TEST(JudgeContainer, BelievesTheImagesOwnMarkAndThenTheRootMount) {
  auto const layered = parse_mountinfo(kContainer);
  auto const plain = parse_mountinfo("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
  auto const subvolume = parse_mountinfo("1 0 0:1 /@ / rw - btrfs /dev/sda1 rw,subvol=/@\n");
  auto const folder = parse_mountinfo("1 0 8:1 /var/vfs/dir/ab / rw - ext4 /dev/sda1 rw\n");
  ContainerHints marked;
  marked.marked = true;
  EXPECT_EQ(judge_container(marked, plain).verdict, ContainerVerdict::kYes);
  EXPECT_EQ(judge_container({}, layered).verdict, ContainerVerdict::kProbably);
  EXPECT_EQ(judge_container({}, folder).verdict, ContainerVerdict::kProbably);
  EXPECT_EQ(judge_container({}, plain).verdict, ContainerVerdict::kNo);
  EXPECT_EQ(judge_container({}, subvolume).verdict, ContainerVerdict::kNo);
  EXPECT_EQ(judge_container({}, {}).verdict, ContainerVerdict::kNo);
}

TEST(JudgeContainer, TakesDockerenvAloneForNothing) {
  ContainerHints hints;
  hints.docker_file = true;
  auto const plain = parse_mountinfo("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
  EXPECT_EQ(judge_container(hints, plain).verdict, ContainerVerdict::kNo);
  hints.control_groups = "12:pids:/docker/abc\n";
  EXPECT_EQ(judge_container(hints, plain).verdict, ContainerVerdict::kProbably);
}

TEST(PlaceKindTest, TellsTheLayerFromMountsVolumesAndMemory) {
  auto const mounts = parse_mountinfo(kContainer);
  EXPECT_EQ(place_kind(mounts[0], true), PlaceKind::kOwnLayer);
  EXPECT_EQ(place_kind(mounts[0], false), PlaceKind::kMounted);
  EXPECT_EQ(place_kind(mounts[2], true), PlaceKind::kMounted);
  EXPECT_EQ(place_kind(mounts[3], true), PlaceKind::kVolume);
  EXPECT_EQ(place_kind(mounts[4], true), PlaceKind::kMemory);
  EXPECT_EQ(place_kind(mounts[5], true), PlaceKind::kDeleted);
  EXPECT_EQ(place_kind(mounts[6], true), PlaceKind::kForeign);
}

TEST(ExistingPart, IsTheNearestParentThatIsThereWithLinksResolved) {
  test::TempDir dir;
  std::filesystem::create_directories(dir / "real");
  std::filesystem::create_directory_symlink("real", dir / "link");
  auto const real = std::filesystem::canonical(dir / "real");
  EXPECT_EQ(existing_part(dir / "link/a/b"), real);
  EXPECT_EQ(existing_part(dir / "real"), real);
  EXPECT_EQ(existing_part("/no-such-folder-here/x"), "/");
}

TEST(ReadMounts, KnowsTheMountOfThisTestsFolder) {
  test::TempDir dir;
  auto const mounts = read_mounts();
  EXPECT_NE(mount_of(mounts, existing_part(dir.path())), nullptr);
}

}  // namespace
}  // namespace homelab::cache
