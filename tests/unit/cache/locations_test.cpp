#include "cache/locations.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temp_dir.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

constexpr double kMb = 1024.0 * 1024.0;

class LocationsTest : public ::testing::Test {
 protected:
  [[nodiscard]] Locations locations(double limit_gb = 100, double threshold = 0.9) const {
    return Locations({(dir_ / "one").string(), std::nullopt, limit_gb, "environment"},
                     {(dir_ / "two").string(), std::nullopt, limit_gb, "default"}, threshold);
  }
  test::TempDir dir_;
};

TEST(LocationKindTest, WordsGoBothWaysAndOthersAreUnknown) {
  for (auto const kind : {LocationKind::kPrimary, LocationKind::kSecondary, LocationKind::kCustom})
    EXPECT_EQ(parse_location_kind(to_string(kind)), kind);
  EXPECT_EQ(parse_location_kind("Primary"), std::nullopt);
  EXPECT_EQ(parse_location_kind(""), std::nullopt);
}

TEST_F(LocationsTest, TheHubFolderIsBelowTheRoot) {
  EXPECT_EQ(hub_folder_of_root(dir_ / "one").path, dir_ / "one/hub");
  EXPECT_FALSE(fs::exists(dir_ / "one")) << "looking must not create anything";
}

TEST_F(LocationsTest, ARootThatIsAHubFolderIsNotDoubled) {
  fs::create_directories(dir_ / "one/models--org--name");
  EXPECT_EQ(hub_folder_of_root(dir_ / "one").path, dir_ / "one");
  EXPECT_NE(hub_folder_of_root(dir_ / "one").why.find("itself"), std::string::npos);
  fs::create_directories(dir_ / "one/hub");
  EXPECT_EQ(hub_folder_of_root(dir_ / "one").path, dir_ / "one/hub");
}

TEST_F(LocationsTest, RegistrationStoresTheConfiguredTextOrTheCustomPath) {
  auto const all = locations();
  EXPECT_EQ(all.root_to_store(LocationKind::kPrimary, "/ignored").value(), all.primary().root);
  EXPECT_EQ(all.root_to_store(LocationKind::kSecondary, std::nullopt).value(),
            all.secondary().root);
  EXPECT_EQ(all.root_to_store(LocationKind::kCustom, " /mnt/x ").value(), "/mnt/x");
  for (auto const& bad :
       {std::optional<std::string>(), std::optional<std::string>("  "),
        std::optional<std::string>("relative"), std::optional<std::string>("~/x")}) {
    auto const stored = all.root_to_store(LocationKind::kCustom, bad);
    ASSERT_FALSE(stored);
    EXPECT_EQ(stored.error().code, Code::kInvalidArgument);
  }
}

TEST_F(LocationsTest, AStoredPathIsUsedWhileItExists) {
  fs::create_directories(dir_ / "old");
  auto const resolved = locations().resolve(LocationKind::kPrimary, (dir_ / "old").string());
  EXPECT_EQ(resolved.root, dir_ / "old");
  EXPECT_EQ(resolved.hub.path, dir_ / "old/hub");
}

TEST_F(LocationsTest, AHostPathSeenFromAContainerFallsBackToTheLocationsRoot) {
  auto const resolved = locations().resolve(LocationKind::kSecondary, "/host/only/path");
  EXPECT_EQ(resolved.root, dir_ / "two");
  EXPECT_NE(resolved.why.find("/host/only/path"), std::string::npos);
  EXPECT_EQ(locations().resolve(LocationKind::kCustom, "/host/only/path").root, "/host/only/path");
  EXPECT_EQ(locations().resolve(LocationKind::kPrimary, std::nullopt).root, dir_ / "one");
}

TEST_F(LocationsTest, AnExplicitHubFolderIsUsedAsItIs) {
  Locations const all({(dir_ / "one").string(), dir_ / "elsewhere", 1, "environment"},
                      {(dir_ / "two").string(), std::nullopt, 1, "default"}, 0.9);
  EXPECT_EQ(all.resolve(LocationKind::kPrimary, std::nullopt).hub.path, dir_ / "elsewhere");
  EXPECT_EQ(all.resolve(LocationKind::kPrimary, (dir_ / "one").string()).hub.path,
            dir_ / "elsewhere");
}

TEST_F(LocationsTest, FoldersOfCacheDirUsersAreReadToo) {
  fs::create_directories(dir_ / "one/hub");
  auto const all = locations();
  auto const resolved = all.resolve(LocationKind::kPrimary, std::nullopt);
  EXPECT_TRUE(all.readable_hub_folders(resolved).empty());
  fs::create_directories(dir_ / "one/hub/models--a--b");
  fs::create_directory_symlink("hub/models--a--b", dir_ / "one/models--a--b");
  EXPECT_TRUE(all.readable_hub_folders(resolved).empty())
      << "a bridged root holds nothing of its own";
  fs::create_directories(dir_ / "one/models--c--d");
  EXPECT_EQ(all.readable_hub_folders(resolved), std::vector<Path>{dir_ / "one"});
}

TEST_F(LocationsTest, EveryBlobIsCountedOnce) {
  dir_.write("one/hub/models--a--b/blobs/x", std::string(3 * 1024 * 1024, 'x'));
  fs::create_directories(dir_ / "one/hub/models--a--b/snapshots/c");
  fs::create_symlink("../../blobs/x", dir_ / "one/hub/models--a--b/snapshots/c/x");
  fs::create_hard_link(dir_ / "one/hub/models--a--b/blobs/x",
                       dir_ / "one/hub/models--a--b/snapshots/c/y");
  dir_.write("one/models--a--b/blobs/y", std::string(1024 * 1024, 'y'));
  auto const space = locations().check_space(LocationKind::kPrimary, std::nullopt, 0);
  EXPECT_NEAR(space.cache_size_gb * 1024, 4.0, 1e-9);
  EXPECT_EQ(space.path, (dir_ / "one").string());
  EXPECT_TRUE(space.sufficient);
  EXPECT_GT(space.disk_total_gb, 0);
  EXPECT_GT(space.disk_usage_percent, 0);
}

TEST_F(LocationsTest, AHubFolderOnAnotherDriveIsCounted) {
  dir_.write("drive/models--a--b/blobs/x", std::string(1024 * 1024, 'x'));
  fs::create_directories(dir_ / "one");
  fs::create_directory_symlink(dir_ / "drive", dir_ / "one/hub");
  EXPECT_NEAR(locations().check_space(LocationKind::kPrimary, std::nullopt, 0).cache_size_gb * 1024,
              1.0, 1e-9);
}

TEST_F(LocationsTest, LookingAtAMissingRootCreatesNothing) {
  auto const space = locations().check_space(LocationKind::kSecondary, std::nullopt, 10);
  EXPECT_EQ(space.cache_size_gb, 0);
  EXPECT_TRUE(space.sufficient);
  EXPECT_FALSE(fs::exists(dir_ / "two"));
}

TEST_F(LocationsTest, TheQuotaDecidesAndSaysWithNumbersWhy) {
  dir_.write("one/hub/models--a--b/blobs/x", std::string(static_cast<std::size_t>(8 * kMb), 'x'));
  auto const all = locations(10.0 / 1024, 0.9);
  auto const exact = all.check_space(LocationKind::kPrimary, std::nullopt, 2);
  EXPECT_TRUE(exact.sufficient) << exact.reason;
  EXPECT_TRUE(exact.warning);
  EXPECT_NEAR(exact.usage_percent, 100, 1e-9);
  auto const over = all.check_space(LocationKind::kPrimary, std::nullopt, 2.5);
  EXPECT_FALSE(over.sufficient);
  EXPECT_NE(over.reason.find("limit"), std::string::npos);
  EXPECT_EQ(over.reason.find("disk"), std::string::npos);
  auto const below = all.check_space(LocationKind::kPrimary, std::nullopt, 0);
  EXPECT_FALSE(below.warning);
  EXPECT_TRUE(below.reason.empty());
}

TEST_F(LocationsTest, AFullDiskIsNamedAsTheReason) {
  auto const space = locations(1e12).check_space(LocationKind::kPrimary, std::nullopt, 1e12);
  EXPECT_FALSE(space.sufficient);
  EXPECT_NE(space.reason.find("disk"), std::string::npos);
}

TEST_F(LocationsTest, CustomIsAlwaysSufficient) {
  auto const space = locations().check_space(LocationKind::kCustom, std::nullopt, 1e15);
  EXPECT_TRUE(space.sufficient);
  EXPECT_FALSE(space.warning);
}

TEST_F(LocationsTest, CustomOnesStandBehindTheTwoAndHaveTheirOwnLimit) {
  dir_.write("three/hub/models--a--b/blobs/x", std::string(static_cast<std::size_t>(8 * kMb), 'x'));
  std::string const three = (dir_ / "three").string();
  Locations const all({(dir_ / "one").string(), std::nullopt, 1, "x"},
                      {(dir_ / "two").string(), std::nullopt, 1, "x"}, 0.9,
                      {{three, std::nullopt, 10.0 / 1024, "environment"},
                       {(dir_ / "four").string(), std::nullopt, 0, "environment"}});
  ASSERT_EQ(all.all().size(), 4U);
  EXPECT_EQ(all.all()[2].kind, LocationKind::kCustom);
  EXPECT_EQ(all.resolve(all.all()[2]).hub.path, dir_ / "three/hub");
  EXPECT_TRUE(all.check_space(LocationKind::kCustom, three, 2).sufficient);
  auto const over = all.check_space(LocationKind::kCustom, three + "/", 2.5);
  EXPECT_FALSE(over.sufficient);
  EXPECT_NE(over.reason.find("limit"), std::string::npos);
  EXPECT_TRUE(all.check_space(all.all()[3], 100).sufficient) << "no limit, and the disk has room";
  EXPECT_EQ(all.find_custom(dir_ / "one"), nullptr);
}

TEST_F(LocationsTest, WhatIsToStayFreeOnTheDiskIsNotFilled) {
  Locations const all({(dir_ / "one").string(), std::nullopt, 1e9, "x"},
                      {(dir_ / "two").string(), std::nullopt, 1e9, "x"}, 0.9, {}, 1e9);
  auto const space = all.check_space(all.primary(), 1);
  EXPECT_FALSE(space.sufficient);
  EXPECT_NE(space.reason.find("stay free"), std::string::npos) << space.reason;
  EXPECT_TRUE(all.check_space(all.primary(), 0).sufficient) << "nothing is to be stored";
}

TEST_F(LocationsTest, ARootThatCanBeMadeIsNoTrouble) {
  EXPECT_EQ(Locations::trouble(locations().primary()), "");
  EXPECT_FALSE(fs::exists(dir_ / "one")) << "looking must not create anything";
  fs::create_directories(dir_ / "one");
  EXPECT_EQ(Locations::trouble(locations().primary()), "");
}

TEST_F(LocationsTest, ARootThatIsAFileIsTrouble) {
  std::ofstream(dir_ / "two") << "x";
  EXPECT_NE(Locations::trouble(locations().secondary()).find("is not a folder"), std::string::npos);
}

TEST_F(LocationsTest, ARootBelowAFileCannotBeReached) {
  std::ofstream(dir_ / "drive") << "x";
  Locations const all({(dir_ / "drive/models").string(), std::nullopt, 1, "environment"},
                      {(dir_ / "two").string(), std::nullopt, 1, "default"}, 0.9);
  EXPECT_NE(Locations::trouble(all.primary()).find("cannot be reached"), std::string::npos);
}

}  // namespace
}  // namespace homelab::cache
