#include "model_trail.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace homelab::cli {
namespace {

constexpr char const* kCommit = "0123456789abcdef0123456789abcdef01234567";
constexpr char const* kBlob = "89abcdef0123456789abcdef0123456789abcdef";

/// A cache as the Hub's Python client leaves it: one GGUF of five bytes, linked from one commit.
class ModelTrailTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string const repo = "root/hub/models--org--tiny/";
    folder_.write(repo + "blobs/" + kBlob, "GGUF!");
    folder_.write(repo + "refs/main", kCommit);
    auto const link = folder_ / (repo + "snapshots/" + kCommit + "/tiny.Q4_1.gguf");
    std::filesystem::create_directories(link.parent_path());
    std::filesystem::create_symlink(std::string("../../blobs/") + kBlob, link);
  }
  [[nodiscard]] cache::Locations locations() const {
    return {{(folder_ / "root").string(), {}, 10, "flag"},
            {(folder_ / "no").string(), {}, 10, "x"},
            0.9};
  }
  [[nodiscard]] config::PythonCache python() const { return {folder_ / python_, "HF_HOME"}; }
  static std::string value_of(ModelTrail const& trail, std::string_view what) {
    for (auto const& step : trail.steps)
      if (step.what == what) return step.value;
    return "(no such step)";
  }
  test::TempDir folder_;
  std::string python_ = "home/hub";  ///< what a script would use
};

TEST_F(ModelTrailTest, LeadsFromTheSettingToTheBlob) {
  auto const trail =
      follow_trail(locations(), python(), {"", "org/tiny", cache::LocationKind::kPrimary, {}});
  ASSERT_TRUE(trail) << trail.error().message;
  EXPECT_EQ(value_of(*trail, "setting"), "flag");
  EXPECT_EQ(value_of(*trail, "root"), (folder_ / "root").string());
  EXPECT_EQ(value_of(*trail, "hub folder"), (folder_ / "root/hub").string());
  EXPECT_EQ(value_of(*trail, "commit"), kCommit);
  ASSERT_EQ(trail->files.size(), 1U);
  EXPECT_EQ(trail->files[0].path, "tiny.Q4_1.gguf");
  EXPECT_EQ(trail->files[0].size_bytes, 5U);
  EXPECT_EQ(trail->files[0].blob, kBlob);
  EXPECT_TRUE(trail->complete);
  EXPECT_NE(trail_text(*trail).find("needs no network"), std::string::npos);
}

TEST_F(ModelTrailTest, NamesContentThatIsMissing) {
  std::filesystem::remove(folder_ / (std::string("root/hub/models--org--tiny/blobs/") + kBlob));
  auto const trail =
      follow_trail(locations(), python(), {"", "org/tiny", cache::LocationKind::kPrimary, {}});
  ASSERT_TRUE(trail) << trail.error().message;
  EXPECT_FALSE(trail->complete);
  EXPECT_EQ(trail->dangling, (std::vector<std::string>{"tiny.Q4_1.gguf"}));
}

TEST_F(ModelTrailTest, SaysWhereAModelThatIsNotThereWouldGo) {
  auto const trail =
      follow_trail(locations(), python(), {"", "org/other", cache::LocationKind::kPrimary, {}});
  ASSERT_TRUE(trail) << trail.error().message;
  EXPECT_FALSE(trail->complete);
  EXPECT_EQ(value_of(*trail, "repository"), (folder_ / "root/hub/models--org--other").string());
  EXPECT_EQ(value_of(*trail, "commit"), "none");
}

TEST_F(ModelTrailTest, FollowsARegisteredModelToItsOwnRoot) {
  auto const custom = (folder_ / "root").string();
  auto const trail = follow_trail(locations(), python(),
                                  {"tiny", "org/tiny", cache::LocationKind::kCustom, custom});
  ASSERT_TRUE(trail) << trail.error().message;
  EXPECT_EQ(value_of(*trail, "model"), "tiny");
  EXPECT_EQ(value_of(*trail, "location"), "custom");
  EXPECT_TRUE(trail->complete);
  EXPECT_TRUE(to_json(*trail).at("complete").as_bool());
}

TEST_F(ModelTrailTest, UsesALocalFileAsItIs) {
  auto const file = folder_.write("own.gguf", "x").string();
  auto const trail =
      follow_trail(locations(), python(), {"own", file, cache::LocationKind::kPrimary, {}});
  ASSERT_TRUE(trail);
  EXPECT_TRUE(trail->complete);
  EXPECT_EQ(value_of(*trail, "local path"), file);
}

TEST_F(ModelTrailTest, RefusesABadReference) {
  auto const trail =
      follow_trail(locations(), python(), {"", "org/../x", cache::LocationKind::kPrimary, {}});
  ASSERT_FALSE(trail);
  EXPECT_EQ(trail.error().code, Code::kInvalidArgument);
}

TEST_F(ModelTrailTest, SaysThatPythonUsesTheSameFiles) {
  python_ = "root/hub";
  auto const trail =
      follow_trail(locations(), python(), {"", "org/tiny", cache::LocationKind::kPrimary, {}});
  ASSERT_TRUE(trail) << trail.error().message;
  EXPECT_EQ(trail->steps.back().what, "Python uses");
  EXPECT_NE(trail->steps.back().because.find("the same files"), std::string::npos);
}

TEST_F(ModelTrailTest, SaysWhatToSetWhenPythonUsesAnotherCache) {
  auto const trail =
      follow_trail(locations(), python(), {"", "org/tiny", cache::LocationKind::kPrimary, {}});
  ASSERT_TRUE(trail) << trail.error().message;
  EXPECT_EQ(value_of(*trail, "Python uses"), (folder_ / "home/hub").string());
  EXPECT_EQ(value_of(*trail, "to share, set"), "HF_HOME=" + (folder_ / "root").string());
}

TEST_F(ModelTrailTest, SaysHowEachFileIsLinked) {
  std::string const snapshot = std::string("root/hub/models--org--tiny/snapshots/") + kCommit + "/";
  folder_.write(snapshot + "config.json", "{}");
  auto const trail =
      follow_trail(locations(), python(), {"", "org/tiny", cache::LocationKind::kPrimary, {}});
  ASSERT_TRUE(trail) << trail.error().message;
  ASSERT_EQ(trail->files.size(), 2U);
  EXPECT_EQ(trail->files[0].kind, "a file of its own, no link");
  EXPECT_EQ(trail->files[1].kind, "link to a blob");
}

}  // namespace
}  // namespace homelab::cli
