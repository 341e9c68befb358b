// Which folders and models the user's words mean.
#include <gtest/gtest.h>

#include <filesystem>

#include "care/removal.h"
#include "care/update.h"
#include "care/verify.h"
#include "support/temp_dir.h"

namespace homelab::care {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSecond = 1'000'000'000;

class ChoicesTest : public testing::Test {
 protected:
  [[nodiscard]] cache::Locations locations() const {
    return {{(folder_ / "first").string(), {}, 10, "test"},
            {(folder_ / "second").string(), {}, 10, "test"},
            0.9};
  }
  [[nodiscard]] Work work(std::vector<RegisteredModel> models = {}) const {
    Work out{.locations = locations()};
    out.models = [models] { return models; };
    return out;
  }
  [[nodiscard]] cache::Path make(std::string const& name) const {
    fs::create_directories(folder_ / name);
    return folder_ / name;
  }
  test::TempDir folder_;
};

TEST_F(ChoicesTest, AnAgeIsANumberWithItsUnit) {
  EXPECT_EQ(parse_age("90s"), 90 * kSecond);
  EXPECT_EQ(parse_age("30m"), 30 * 60 * kSecond);
  EXPECT_EQ(parse_age("2h"), 2 * 3600 * kSecond);
  EXPECT_EQ(parse_age("2"), 2 * 3600 * kSecond);
  EXPECT_EQ(parse_age("7d"), 7 * 24 * 3600 * kSecond);
  for (auto const* text : {"", "h", "soon", "-1h", "1.5h", "99999999999999999d"})
    EXPECT_EQ(parse_age(text).error().code, Code::kInvalidArgument) << text;
}

TEST_F(ChoicesTest, NoPlaceMeansTheHubFoldersOfBothLocationsThatExist) {
  EXPECT_EQ(chosen_hub_folders(locations(), {})->size(), 0U);
  auto const first = make("first/hub");
  auto const second = make("second/hub");
  EXPECT_EQ(*chosen_hub_folders(locations(), {}), (std::vector<cache::Path>{first, second}));
  EXPECT_EQ(*chosen_hub_folders(locations(), {"secondary", ""}), std::vector<cache::Path>{second});
}

TEST_F(ChoicesTest, APathAloneIsACustomRoot) {
  auto const hub = make("elsewhere/hub");
  EXPECT_EQ(*chosen_hub_folders(locations(), {"", (folder_ / "elsewhere").string()}),
            std::vector<cache::Path>{hub});
  EXPECT_EQ(chosen_hub_folders(locations(), {"custom", ""}).error().code, Code::kInvalidArgument);
  EXPECT_EQ(chosen_hub_folders(locations(), {"primary", "/x"}).error().code,
            Code::kInvalidArgument);
}

TEST_F(ChoicesTest, OneLocationIsThePrimaryOneUnlessSaidOtherwise) {
  EXPECT_EQ(choose_one(locations(), {})->kind, cache::LocationKind::kPrimary);
  EXPECT_EQ(choose_one(locations(), {"secondary", ""})->kind, cache::LocationKind::kSecondary);
  EXPECT_EQ(choose_one(locations(), {"", "/x"})->kind, cache::LocationKind::kCustom);
}

TEST_F(ChoicesTest, LocationsThatAreOneFolderAreLookedAtOnce) {
  auto const hub = make("first/hub");
  fs::create_directory_symlink(folder_ / "first", folder_ / "second");
  EXPECT_EQ(*chosen_hub_folders(locations(), {}), std::vector<cache::Path>{hub});
}

TEST_F(ChoicesTest, AModelNeedsItsRefItsCommitAndEveryFolderItMayStandIn) {
  auto const needs = needs_of_models(
      work({{"mine", "org/name@v1", "primary", std::nullopt, std::string(40, 'a'), true}}));
  ASSERT_TRUE(needs) << needs.error().message;
  ASSERT_FALSE(needs->empty());
  auto const& need = needs->front();
  EXPECT_EQ(need.path, folder_ / "first/hub/models--org--name");
  EXPECT_EQ(need.revision, "v1");
  EXPECT_EQ(need.commit->text(), std::string(40, 'a'));
  EXPECT_EQ(need.why, "loaded as 'mine'");
}

TEST_F(ChoicesTest, AnUpdateMayTakeTheCommitsOfModelsThatAreNotLoaded) {
  std::vector<RegisteredModel> const models{
      {"idle", "org/idle", "primary", {}, std::string(40, 'a'), false},
      {"busy", "org/busy", "primary", {}, std::string(40, 'b'), true}};
  auto const commits = [&](NeededCommits whose) {
    std::vector<std::string> found;
    for (auto const& need : needs_of(locations(), models, whose))
      found.push_back(need.commit ? need.commit->text().substr(0, 1) : "none");
    return found;
  };
  EXPECT_EQ(commits(NeededCommits::kOfAll), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(commits(NeededCommits::kOfLoaded), (std::vector<std::string>{"none", "b"}));
}

TEST_F(ChoicesTest, ALocalModelNeedsItsPathWhateverIsInIt) {
  auto const needs = needs_of_models(work({{"mine", "/models/x.gguf", "primary", {}, "", false}}));
  ASSERT_EQ(needs->size(), 1U);
  EXPECT_EQ(needs->front().path, "/models/x.gguf");
  EXPECT_FALSE(needs->front().revision);
  EXPECT_EQ(needs->front().why, "registered as 'mine'");
}

TEST_F(ChoicesTest, WhenNobodyKnowsWhatIsNeededNothingIsRemoved) {
  (void)make("first/hub/models--org--name");
  auto unknown = work();
  unknown.models = []() -> Result<std::vector<RegisteredModel>> {
    return fail(Code::kDataLoss, "the database is broken");
  };
  EXPECT_EQ(run(unknown, RmChoice{{"org/name"}, {}}).error().code, Code::kDataLoss);
  EXPECT_EQ(run(unknown, PruneChoice{}).error().code, Code::kDataLoss);
  EXPECT_TRUE(fs::exists(folder_ / "first/hub/models--org--name"));
}

TEST_F(ChoicesTest, WhatNeedsTheHubIsRefusedWithoutAWayToIt) {
  VerifyChoice repair;
  repair.repair = true;
  EXPECT_EQ(run(work(), repair).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(run(work(), UpdateChoice{}).error().code, Code::kFailedPrecondition);
}

}  // namespace
}  // namespace homelab::care
