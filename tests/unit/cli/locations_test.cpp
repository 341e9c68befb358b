#include "locations.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace homelab::cli {
namespace {

config::Settings settings_with(std::map<std::string, std::string> environment,
                               std::filesystem::path const& folder) {
  config::SettingsInput input;
  input.working_directory = folder;
  input.environment = [environment](std::string const& name) -> std::optional<std::string> {
    auto const found = environment.find(name);
    if (found == environment.end()) return std::nullopt;
    return found->second;
  };
  return *config::Settings::load(std::move(input));
}

TEST(Locations, AreTheOnesTheSettingsName) {
  test::TempDir const folder;
  auto const locations = locations_of(settings_with(
      {{"PRIMARY_CACHE_PATH", (folder / "one").string()}, {"PRIMARY_CACHE_LIMIT_GB", "7"}},
      folder.path()));
  EXPECT_EQ(locations.primary().root, (folder / "one").string());
  EXPECT_EQ(locations.primary().limit_gb, 7);
  EXPECT_FALSE(locations.primary().hub_folder);
  EXPECT_NE(locations.primary().origin.find("environment"), std::string::npos);
}

TEST(Locations, HonourAnExplicitHubFolder) {
  test::TempDir const folder;
  auto const locations =
      locations_of(settings_with({{"HF_HUB_CACHE", (folder / "hub2").string()}}, folder.path()));
  EXPECT_EQ(locations.primary().hub_folder, folder / "hub2");
  auto const chosen = choose_location(locations, "primary", std::nullopt);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->resolved.hub.path, folder / "hub2");
}

TEST(Locations, CustomOnesComeFromTheSettings) {
  test::TempDir const folder;
  auto const locations = locations_of(settings_with(
      {{"CUSTOM_CACHE_PATHS", "/mnt/a=5:/mnt/b"}, {"CACHE_RESERVE_GB", "3"}}, folder.path()));
  ASSERT_EQ(locations.all().size(), 4U);
  EXPECT_EQ(locations.all()[2].root, "/mnt/a");
  EXPECT_EQ(locations.all()[2].limit_gb, 5);
  EXPECT_EQ(locations.all()[3].root, "/mnt/b");
  EXPECT_EQ(locations.all()[3].limit_gb, 0);
  EXPECT_EQ(locations.reserve_gb(), 3);
}

TEST(ChooseLocation, TakesTheOnlyCustomOneWithoutAPath) {
  test::TempDir const folder;
  auto const one = locations_of(settings_with({{"CUSTOM_CACHE_PATHS", "/mnt/a"}}, folder.path()));
  auto const chosen = choose_location(one, "custom", std::nullopt);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(chosen->resolved.hub.path, "/mnt/a/hub");
  auto const two =
      locations_of(settings_with({{"CUSTOM_CACHE_PATHS", "/mnt/a:/mnt/b"}}, folder.path()));
  EXPECT_FALSE(choose_location(two, "custom", std::nullopt));
}

TEST(ChooseLocation, WantsAPathForCustomOnly) {
  test::TempDir const folder;
  auto const locations = locations_of(settings_with({}, folder.path()));
  EXPECT_EQ(choose_location(locations, "custom", std::nullopt).error().code,
            Code::kInvalidArgument);
  EXPECT_EQ(choose_location(locations, "primary", "/x").error().code, Code::kInvalidArgument);
  EXPECT_EQ(choose_location(locations, "moon", std::nullopt).error().code, Code::kInvalidArgument);
  auto const custom = choose_location(locations, "custom", folder.path().string());
  ASSERT_TRUE(custom);
  EXPECT_EQ(custom->resolved.hub.path, folder / "hub");
}

TEST(AbsolutePath, ExpandsTheHomeFolderAndCleansUp) {
  char const* const home = std::getenv("HOME");
  ASSERT_NE(home, nullptr);
  EXPECT_EQ(absolute_path("~/x"), std::filesystem::path(home) / "x");
  EXPECT_EQ(absolute_path("/a/b/../c/"), "/a/c");
  EXPECT_EQ(absolute_path("rel"), std::filesystem::current_path() / "rel");
}

}  // namespace
}  // namespace homelab::cli
