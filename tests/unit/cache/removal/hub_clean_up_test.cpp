#include "cache/hub_clean_up.h"

#include <gmock/gmock.h>

#include "../scan_fixture.h"
#include "base/os/file_lock.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kDayNs = std::int64_t{24} * 3600 * 1'000'000'000;

class HubCleanUpTest : public ScanFixture {
 protected:
  HubCleanUpTest() {
    put("config.json", "{}");
    write(hub() / "blobs/.huggingface-shared-blobs", "1\n");
  }

  static std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  /// As somebody sees it `days` from now.
  [[nodiscard]] RemovalPlan plan(int days = 2) const {
    auto const made =
        plan_hub_clean_up(hub(), {now_ns() + days * kDayNs, kDayNs, std::chrono::hours(3 * 24)});
    if (!made) throw std::runtime_error(made.error().message);
    return *made;
  }
  static std::vector<std::string> paths(RemovalPlan const& plan) {
    std::vector<std::string> out;
    for (auto const& item : plan.items) out.push_back(item.path);
    return out;
  }
  static RemovalReport run(RemovalPlan const& plan) {
    auto const report = execute_removal(plan, {true, "test", {}});
    if (!report) throw std::runtime_error(report.error().message);
    return *report;
  }

  [[nodiscard]] std::string stored(char digit) const {
    return "blobs/" + std::string(2, digit) + "/" + hex(digit, 64);
  }
  void store(char digit, std::string const& references) const {
    write(hub() / stored(digit), std::string(5000, digit));
    write(hub() / (stored(digit) + ".refs"), references);
  }
  void use(char digit, std::string const& name) const {
    symlink("../../" + stored(digit), repo() / "blobs" / name);
  }
};

TEST_F(HubCleanUpTest, APayloadThatNoRepositoryUsesGoesWithItsListAndIsCounted) {
  store('a', "models--org--name/blobs/" + hex('1', 64) + "\n");
  store('b', "models--org--name/blobs/" + hex('2', 64) + "\n");
  use('b', hex('2', 64));
  auto const planned = plan();
  ASSERT_THAT(paths(planned), ElementsAre(stored('a')));
  struct stat found{};
  ASSERT_EQ(::stat((hub() / stored('a')).c_str(), &found), 0);
  EXPECT_EQ(planned.frees_bytes(), static_cast<std::uint64_t>(found.st_blocks) * 512);
  auto const report = run(planned);
  EXPECT_THAT(report.skipped, IsEmpty());
  EXPECT_EQ(report.freed_bytes, planned.frees_bytes());
  EXPECT_FALSE(fs::exists(hub() / stored('a')));
  EXPECT_FALSE(fs::exists(hub() / (stored('a') + ".refs")));
  EXPECT_TRUE(fs::exists(hub() / stored('b')));
}

TEST_F(HubCleanUpTest, APayloadStaysThatOnlyALinkWithoutALineUses) {
  store('a', "");
  use('a', hex('1', 64));
  EXPECT_THAT(plan().items, IsEmpty());
}

TEST_F(HubCleanUpTest, APayloadWithoutAListStaysAndIsTold) {
  store('a', "");
  fs::remove(hub() / (stored('a') + ".refs"));
  auto const planned = plan();
  EXPECT_THAT(planned.items, IsEmpty());
  ASSERT_EQ(planned.kept.size(), 1U);
  EXPECT_EQ(planned.kept[0].path, stored('a'));
}

TEST_F(HubCleanUpTest, AListWhosePayloadIsGoneGoesUnlessThePayloadComesBack) {
  store('a', "");
  store('b', "");
  fs::remove(hub() / stored('a'));
  fs::remove(hub() / stored('b'));
  auto const planned = plan();
  ASSERT_THAT(paths(planned), ElementsAre(stored('a') + ".refs", stored('b') + ".refs"));
  store('b', "");
  EXPECT_EQ(run(planned).skipped.size(), 1U);
  EXPECT_FALSE(fs::exists(hub() / (stored('a') + ".refs")));
  EXPECT_TRUE(fs::exists(hub() / (stored('b') + ".refs")));
}

TEST_F(HubCleanUpTest, AnUnmarkedStoreIsLeftAlone) {
  store('a', "");
  fs::remove(hub() / "blobs/.huggingface-shared-blobs");
  EXPECT_THAT(plan().items, IsEmpty());
}

TEST_F(HubCleanUpTest, AUserThatCameSinceThePlanKeepsThePayload) {
  store('a', "");
  store('b', "");
  auto const planned = plan();
  ASSERT_EQ(planned.items.size(), 2U);
  use('a', hex('1', 64));
  auto const held = os::FileLock::try_take(hub() / (stored('b') + ".lock"));
  ASSERT_TRUE(held && *held);
  auto const report = run(planned);
  EXPECT_EQ(report.skipped.size(), 2U);
  EXPECT_EQ(report.freed_bytes, 0U);
  EXPECT_TRUE(fs::exists(hub() / stored('a')));
  EXPECT_TRUE(fs::exists(hub() / stored('b')));
}

TEST_F(HubCleanUpTest, TrialFoldersOfKilledProgramsGo) {
  write(hub() / "tmpab_12xyz/dummy_file_src", "");
  symlink("dummy_file_src", hub() / "tmpab_12xyz/dummy_file_dst");
  write(hub() / ".homelab-llm-trial-0123abcd/a", "x");
  write(hub() / ".locks/.homelab-llm-trial-0123abcd/lock", "");
  auto const planned = plan();
  EXPECT_THAT(paths(planned), ElementsAre(".homelab-llm-trial-0123abcd", "tmpab_12xyz",
                                          ".locks/.homelab-llm-trial-0123abcd"));
  EXPECT_THAT(run(planned).skipped, IsEmpty());
  EXPECT_FALSE(fs::exists(hub() / "tmpab_12xyz"));
  EXPECT_FALSE(fs::exists(hub() / ".homelab-llm-trial-0123abcd"));
  EXPECT_THAT(plan().items, IsEmpty());
}

TEST_F(HubCleanUpTest, WhatOnlyLooksLikeATrialFolderStays) {
  write(hub() / "tmpabcdefgh/mine.txt", "x");
  write(hub() / "tmpabcdefgi/dummy_file_src", "not empty");
  write(hub() / "tmpabcdefgj", "a file");
  write(hub() / "tmp/dummy_file_src", "");
  write(hub() / "notes.txt", "x");
  symlink("/tmp", hub() / "tmpabcdefgk");
  EXPECT_THAT(plan().items, IsEmpty());
}

TEST_F(HubCleanUpTest, WhatIsYoungStays) {
  store('a', "");
  write(hub() / "tmpab_12xyz/dummy_file_src", "");
  EXPECT_THAT(plan(0).items, IsEmpty());
}

TEST_F(HubCleanUpTest, DamagedContentGoesWhenTheTrashsTimeIsOver) {
  std::string const cell = ".locks/.homelab-llm/quarantine/models--org--name/";
  std::string const bad = cell + hex('1', 64) + ".0123abcd";
  std::string const busy = cell + hex('2', 64) + ".0123abcd";
  write(hub() / bad, std::string(9000, 'x'));
  write(hub() / busy, std::string(9000, 'y'));
  EXPECT_THAT(plan(2).items, IsEmpty()) << "kept for three days";
  auto const planned = plan(4);
  ASSERT_THAT(paths(planned), ElementsAre(bad, busy));
  EXPECT_EQ(planned.items[0].size_bytes, 9000U);
  fs::create_directories(hub() / ".locks/models--org--name");
  auto const lock =
      os::FileLock::try_take(hub() / ".locks/models--org--name" / (hex('2', 64) + ".lock"));
  ASSERT_TRUE(lock && *lock);
  auto const report = run(planned);
  EXPECT_EQ(report.freed_bytes, planned.items[0].frees_bytes);
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_EQ(report.skipped[0].path, busy);
  EXPECT_FALSE(fs::exists(hub() / bad));
  EXPECT_TRUE(fs::exists(hub() / busy));
}

TEST_F(HubCleanUpTest, TheQuarantineOfAnotherHubFolderBehindALinkStays) {
  write(dir_ / "other/.locks/.homelab-llm/quarantine/models--org--name/" /
            Path(hex('1', 64) + ".0123abcd"),
        "x");
  fs::remove_all(hub() / ".locks");
  symlink("../other/.locks", hub() / ".locks");
  EXPECT_THAT(plan(9).items, IsEmpty());
}

TEST_F(HubCleanUpTest, RepositoriesAreNotTouched) {
  store('a', "");
  write(hub() / "tmpab_12xyz/dummy_file_src", "");
  run(plan());
  auto const after = scan();
  EXPECT_EQ(after.revisions.size(), 1U);
  EXPECT_EQ(after.blobs.size(), 1U);
}

}  // namespace
}  // namespace homelab::cache
