#include "cache/usage.h"

#include "../scan_fixture.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

class UsageTest : public ScanFixture {
 protected:
  [[nodiscard]] Usage usage() const {
    auto const result = measure({hub()});
    if (!result) throw std::runtime_error(result.error().message);
    return *result;
  }
  [[nodiscard]] Path other() const { return hub() / "datasets--org--other"; }
};

TEST_F(UsageTest, AnEmptyOrMissingFolderUsesNothing) {
  EXPECT_EQ(usage().used_bytes(), 0U);
  fs::create_directories(hub());
  EXPECT_EQ(usage().used_bytes(), 0U);
  EXPECT_EQ(usage().repositories, 0U);
}

TEST_F(UsageTest, AStorePayloadCountsOnceHoweverManyRepositoriesLinkToIt) {
  std::string const hash = "ab" + hex('0', 62);
  write(hub() / "blobs/.huggingface-shared-blobs", "1\n");
  write(hub() / "blobs/ab" / hash, std::string(5000, 'x'));
  symlink("../../blobs/ab/" + hash, repo() / "blobs" / hex('1', 64));
  symlink("../../blobs/ab/" + hash, other() / "blobs" / hex('1', 64));
  auto const found = usage();
  EXPECT_EQ(found.content_bytes, 5000U);
  EXPECT_EQ(found.store.files, 1U);
  EXPECT_EQ(found.repositories, 2U);
}

TEST_F(UsageTest, HardLinksBetweenRepositoriesCountOnce) {
  put("a", std::string(100'000, 'a'));
  write(snapshot() / "plain", std::string(50'000, 'p'));
  fs::create_directories(other() / "blobs");
  fs::create_directories(other() / "snapshots" / hex('d'));
  auto const alone = usage();
  fs::create_hard_link(repo() / "blobs" / sha256_hex(std::string(100'000, 'a')),
                       other() / "blobs" / hex('1'));
  fs::create_hard_link(snapshot() / "plain", other() / "snapshots" / hex('d') / "plain");
  auto const both = usage();
  EXPECT_EQ(alone.content_bytes, 150'000U);
  EXPECT_EQ(both.content_bytes, 150'000U);
  EXPECT_EQ(both.disk_bytes, alone.disk_bytes);
}

TEST_F(UsageTest, WhatIsUnfinishedUnneededOrThrownAwayIsCountedApart) {
  put("a", "used");
  write(repo() / "blobs" / hex('9'), std::string(10'000, 'o'));
  write(repo() / "blobs" / (hex('1') + ".incomplete"), std::string(20'000, 'i'));
  write(repo() / "blobs" / (hex('2') + ".homelab.part"), std::string(30'000, 'i'));
  write(repo() / "refs/main.0123abcd.tmp", "half");
  write(own_folder(hub(), "trash") / "1/models--x/blobs/y", std::string(40'000, 't'));
  write(own_folder(hub(), "quarantine") / "bad", std::string(50'000, 'q'));
  auto const found = usage();
  EXPECT_EQ(found.content_bytes, 4U + 10'000U);
  EXPECT_EQ(found.orphans.files, 1U);
  EXPECT_GE(found.orphans.disk_bytes, 10'000U);
  EXPECT_EQ(found.partials.files, 2U);
  EXPECT_GE(found.partials.disk_bytes, 50'000U);
  EXPECT_EQ(found.live_partials.files, 0U);
  EXPECT_EQ(found.temporaries.files, 1U);
  EXPECT_EQ(found.trash.files, 1U);
  EXPECT_GE(found.trash.disk_bytes, 40'000U);
  EXPECT_GE(found.quarantine.disk_bytes, 50'000U);
  EXPECT_EQ(found.used_bytes(), found.content_bytes + found.partials.disk_bytes +
                                    found.temporaries.disk_bytes + found.trash.disk_bytes +
                                    found.quarantine.disk_bytes);
}

TEST_F(UsageTest, NothingIsCalledUnneededWhenNotEverythingCouldBeRead) {
  write(repo() / "blobs" / hex('9'), "x");
  symlink("/nowhere", repo() / "snapshots");
  EXPECT_EQ(usage().orphans.files, 0U);
}

TEST_F(UsageTest, ALocationIsItsHubFolderAndTheRootOfCacheDirUsersEachOnce) {
  Locations const locations({(dir_ / "one").string(), {}, 1, "x"},
                            {(dir_ / "two").string(), {}, 1, "x"}, 0.9);
  EXPECT_TRUE(hub_folders_of(locations, locations.primary()).empty());
  fs::create_directories(dir_ / "one/hub");
  fs::create_directories(dir_ / "one/models--a--b");
  EXPECT_EQ(hub_folders_of(locations, locations.primary()),
            (std::vector<Path>{dir_ / "one/hub", dir_ / "one"}));
  fs::create_directories(dir_ / "two/models--a--b");
  EXPECT_EQ(hub_folders_of(locations, locations.secondary()), (std::vector<Path>{dir_ / "two"}));
}

}  // namespace
}  // namespace homelab::cache
