#include "cache/mount_lookup.h"

#include <gtest/gtest.h>

#include <map>

#include "support/temp_dir.h"

namespace homelab::cache {
namespace {

/// Looks `host` up among mounts "ROOT POINT TYPE [super options]"; every point is a folder of its
/// own unless `same` says that two are one.
MountLookup look(std::string const& host, std::vector<std::string> const& lines,
                 std::map<std::string, unsigned long> const& folders = {}) {
  std::vector<Mount> mounts;
  for (auto const& line : lines) {
    auto const mount = parse_mountinfo("5 4 8:1 " + line + "\n");
    EXPECT_EQ(mount.size(), 1U) << line;
    mounts.insert(mounts.end(), mount.begin(), mount.end());
  }
  unsigned long next = 100;
  return find_mounted(mounts, host, [&](Path const& point) -> std::optional<FileIdentity> {
    if (auto const known = folders.find(point.string()); known != folders.end()) {
      if (known->second == 0) return std::nullopt;
      return FileIdentity{1, known->second};
    }
    return FileIdentity{1, ++next};
  });
}

constexpr char const* kOwnLayer = "/ / rw - overlay overlay rw,lowerdir=/a,upperdir=/b/diff";
constexpr char const* kMission =
    "/home/dev/LLM/hf-cache /root/.cache/huggingface rw - ext4 /dev/sda1 rw";

TEST(MountLookup, FindsTheMissionsMount) {
  auto const found = look("/home/dev/LLM/hf-cache", {kOwnLayer, kMission});
  EXPECT_EQ(found.path, "/root/.cache/huggingface");
  EXPECT_EQ(found.fit, MountFit::kSame);
  EXPECT_EQ(found.why, "/home/dev/LLM/hf-cache of the host is mounted at /root/.cache/huggingface");
  EXPECT_EQ(look("/home/dev//LLM/./hf-cache/", {kMission}).path, "/root/.cache/huggingface");
}

TEST(MountLookup, FindsAFolderBelowAMount) {
  auto const found = look("/home/dev/LLM/hf-cache", {"/home/dev /data rw - ext4 /dev/sda1 rw"});
  EXPECT_EQ(found.path, "/data/LLM/hf-cache");
  EXPECT_EQ(found.fit, MountFit::kSame);
}

TEST(MountLookup, FindsAFolderOfAPartitionOfItsOwn) {
  auto const found =
      look("/home/dev/LLM/hf-cache", {"/dev/LLM/hf-cache /cache rw - ext4 /dev/sda2 rw"});
  EXPECT_EQ(found.path, "/cache");
  EXPECT_EQ(found.fit, MountFit::kSourceIsTail);
}

TEST(MountLookup, FindsAFolderOfASubvolume) {
  EXPECT_EQ(
      look("/u/hf-cache", {"/@home/u/hf-cache /cache rw - btrfs /dev/sda2 rw,subvol=/@home"}).fit,
      MountFit::kInSubvolume);
  auto const tail =
      look("/home/u/hf-cache", {"/@home/u/hf-cache /cache rw - btrfs /dev/sda2 rw,subvol=/@home"});
  EXPECT_EQ(tail.path, "/cache");
  EXPECT_EQ(tail.fit, MountFit::kSourceIsTail);
}

TEST(MountLookup, FindsAFolderBehindTheNameOfAVirtualMachine) {
  auto const found =
      look("/Users/u/hf", {"/host_mnt/Users/u/hf /cache rw - fakeowner /run/host_mark rw"});
  EXPECT_EQ(found.path, "/cache");
  EXPECT_EQ(found.fit, MountFit::kSourceIsLonger);
}

TEST(MountLookup, OneEqualNameIsChance) {
  EXPECT_FALSE(look("/srv/models", {"/models /cache rw - ext4 /dev/sda1 rw"}).path);
  EXPECT_FALSE(look("/models", {"/srv/models /cache rw - ext4 /dev/sda1 rw"}).path);
}

TEST(MountLookup, WhatSaysNothingAboutTheHostIsNoHit) {
  for (char const* line :
       {"/ /home/dev/LLM/hf-cache rw - xfs /dev/sdb rw", kOwnLayer,
        "/home/dev/LLM/hf-cache//deleted /cache rw - ext4 /dev/sda1 rw",
        "/home/dev/LLM/hf-cache /cache rw - tmpfs tmpfs rw",
        "/home/dev/LLM/hf-cache2 /cache rw - ext4 /dev/sda1 rw",
        "/var/lib/docker/volumes/hf-cache/_data /cache rw - ext4 /dev/sda1 rw"}) {
    auto const found = look("/home/dev/LLM/hf-cache", {line});
    EXPECT_FALSE(found.path) << line;
    EXPECT_EQ(found.why, "") << line;
  }
}

TEST(MountLookup, AMountedFileOrADeletedFolderIsNoHit) {
  EXPECT_FALSE(look("/home/dev/LLM/hf-cache", {kMission}, {{"/root/.cache/huggingface", 0}}).path);
}

TEST(MountLookup, TheBestFitCounts) {
  auto const found =
      look("/home/dev/LLM/hf-cache", {"/dev/LLM/hf-cache /wrong rw - ext4 /dev/sda2 rw", kMission});
  EXPECT_EQ(found.path, "/root/.cache/huggingface");
}

TEST(MountLookup, OneFolderUnderTwoNamesIsWrittenWhereItCanBe) {
  auto const found =
      look("/srv/hf/cache",
           {"/srv/hf/cache /a ro - ext4 /dev/sda1 rw", "/srv/hf/cache /b rw - ext4 /dev/sda1 rw"},
           {{"/a", 7}, {"/b", 7}});
  EXPECT_EQ(found.path, "/b");
}

TEST(MountLookup, TheFolderItselfIsTakenBeforeOneAboveIt) {
  auto const found = look("/srv/hf/cache", {"/srv/hf /up rw - ext4 /dev/sda1 rw",
                                            "/srv/hf/cache /it rw - ext4 /dev/sda1 rw"});
  EXPECT_EQ(found.path, "/it");
}

TEST(MountLookup, TwoDifferentFoldersAreNotGuessed) {
  auto const found = look("/home/u/hf/cache", {"/u/hf/cache /a rw - ext4 /dev/sda1 rw",
                                               "/u/hf/cache /b rw - ext4 /dev/sdb1 rw"});
  EXPECT_FALSE(found.path);
  EXPECT_NE(found.why.find("CACHE_PATH_MAP"), std::string::npos);
}

TEST(FolderIdentity, KnowsFoldersOnly) {
  test::TempDir const dir;
  dir.write("file", "x");
  EXPECT_TRUE(folder_identity(dir.path()));
  EXPECT_FALSE(folder_identity(dir / "file"));
  EXPECT_FALSE(folder_identity(dir / "nothing"));
}

std::vector<Mount> layer_and_cache(std::string const& point) {
  return parse_mountinfo(std::string("1 0 0:50 / / rw - overlay overlay rw\n2 1 8:1 "
                                     "/srv/of/host ") +
                         point + " rw - ext4 /dev/sda1 rw\n");
}

TEST(PlaceFinder, InAContainerAPathOnItsOwnLayerIsLookedForInTheMounts) {
  test::TempDir const dir;
  PlaceFinder const finder({}, layer_and_cache(dir.path().string()),
                           {ContainerVerdict::kYes, "the test"});
  auto const found = finder.find("/srv/of/host/hf");
  EXPECT_EQ(found.path, dir / "hf");
  EXPECT_NE(found.why, "");
  EXPECT_EQ(finder.find(dir / "hf").path, dir / "hf") << "it is on a mount";
  EXPECT_EQ(finder.find("/srv/elsewhere").path, "/srv/elsewhere");
  EXPECT_EQ(finder.find("/srv/elsewhere").why, "");
}

TEST(PlaceFinder, OutsideAContainerOnlyTheMapCounts) {
  test::TempDir const dir;
  PlaceFinder const finder({{"/srv/of/host", "/mapped"}}, layer_and_cache(dir.path().string()),
                           {ContainerVerdict::kNo, ""});
  EXPECT_EQ(finder.find("/srv/of/host/hf").path, "/mapped/hf");
  EXPECT_EQ(finder.find("/srv/of").path, "/srv/of");
  EXPECT_TRUE(finder.check_lasting("/srv/of"));
}

TEST(PlaceFinder, TheOwnLayerOfACertainContainerKeepsNothing) {
  test::TempDir const dir;
  PlaceFinder const certain({}, layer_and_cache(dir.path().string()),
                            {ContainerVerdict::kYes, "the test"});
  auto const refused = certain.check_lasting("/srv/hf/hub");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("- /srv/hf:/srv/hf"), std::string::npos);
  EXPECT_TRUE(certain.check_lasting(dir / "hub"));
  PlaceFinder const perhaps({}, layer_and_cache(dir.path().string()),
                            {ContainerVerdict::kProbably, "the test"});
  EXPECT_TRUE(perhaps.check_lasting("/srv/hf/hub")) << "a guess refuses nothing";
}

TEST(PathMap, TheLongestMappingCounts) {
  std::vector<PathMapping> const map{{"/srv", "/host"}, {"/srv/hf/", "/cache"}};
  EXPECT_EQ(map_path(map, "/srv/hf"), "/cache");
  EXPECT_EQ(map_path(map, "/srv/hf/hub/"), "/cache/hub");
  EXPECT_EQ(map_path(map, "/srv/hf2"), "/host/hf2");
  EXPECT_EQ(map_path(map, "/home"), std::nullopt);
}

}  // namespace
}  // namespace homelab::cache
