#include "cache_commands/repo_rows.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace homelab::cli {
namespace {

namespace fs = std::filesystem;

class RepoRowsTest : public testing::Test {
 protected:
  static std::string commit() { return std::string(40, 'c'); }
  static std::string blob() { return std::string(64, 'b'); }
  /// One file of five bytes with one link.
  void make(std::string const& folder) const {
    folder_.write(folder + "/blobs/" + blob(), "GGUF!");
    folder_.write(folder + "/refs/main", commit());
    auto const link = folder_ / (folder + "/snapshots/" + commit() + "/tiny.gguf");
    fs::create_directories(link.parent_path());
    fs::create_symlink("../../blobs/" + blob(), link);
  }
  [[nodiscard]] cache::Locations locations() const {
    return {{(folder_ / "root").string(), {}, 10, "flag"},
            {(folder_ / "second").string(), {}, 10, "x"},
            0.9};
  }
  test::TempDir folder_;
};

TEST_F(RepoRowsTest, ListsBothLocationsAndTheRootOfCacheDirUsers) {
  make("root/hub/models--org--tiny");
  make("root/datasets--org--set");
  make("root/models--org--tiny");
  make("second/hub/models--org--tiny");
  auto const rows = list_cached_repos(locations());
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->repos.size(), 4U);
  EXPECT_EQ(rows->repos[0].id, "org/tiny");
  EXPECT_EQ(rows->repos[0].size_bytes, 5U);
  EXPECT_EQ(rows->repos[0].refs, (std::vector<std::string>{"main"}));
  EXPECT_EQ(rows->repos[1].type, cache::RepoType::kDataset);
  EXPECT_EQ(rows->repos[1].location, "primary");
  EXPECT_EQ(rows->repos[3].location, "secondary");
  EXPECT_NE(repo_table(rows->repos).find("org/tiny"), std::string::npos);
}

TEST_F(RepoRowsTest, ABridgedRootIsNotListedTwiceAndOtherLinksAreRemarked) {
  make("root/hub/models--org--tiny");
  make("root/models--own--one");
  make("drive/models--far--away");
  fs::create_directory_symlink("hub/models--org--tiny", folder_ / "root/models--org--tiny");
  fs::create_directory_symlink(folder_ / "drive/models--far--away",
                               folder_ / "root/hub/models--far--away");
  auto const rows = list_cached_repos(locations());
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->repos.size(), 2U);
  ASSERT_EQ(rows->problems.size(), 2U) << "hub/ in the root, and the link to the other drive";
  EXPECT_EQ(rows->problems[0].path, folder_ / "root/hub/models--far--away");
}

TEST_F(RepoRowsTest, BothLocationsInOneFolderAreListedOnce) {
  make("root/hub/models--org--tiny");
  cache::Locations const same({(folder_ / "root").string(), {}, 10, "x"},
                              {(folder_ / "root").string(), {}, 10, "x"}, 0.9);
  EXPECT_EQ(list_cached_repos(same)->repos.size(), 1U);
}

TEST_F(RepoRowsTest, JsonHoldsWhatTheListShowsAndKeepsTheOlderFields) {
  make("root/hub/models--org--tiny");
  auto rows = list_cached_repos(locations());
  auto const json = to_json(rows->repos.at(0));
  EXPECT_EQ(json.at("repo").as_string(), "org/tiny");
  EXPECT_EQ(json.at("type").as_string(), "model");
  EXPECT_EQ(json.at("size_bytes").to_number<int>(), 5);
  EXPECT_EQ(json.at("snapshots").to_number<int>(), 1);
  EXPECT_EQ(json.at("revisions").at(0).at("files").to_number<int>(), 1);
  EXPECT_TRUE(json.at("last_used").as_string().ends_with("Z"));
  EXPECT_FALSE(json.contains("registered_as")) << "no server was asked";
}

TEST_F(RepoRowsTest, OneRepositoryIsFoundByItsIdWithOrWithoutItsType) {
  make("root/hub/models--org--tiny");
  make("root/hub/datasets--org--tiny");
  EXPECT_EQ(find_cached_repo(locations(), "org/tiny")->size(), 2U);
  auto const sets = find_cached_repo(locations(), "datasets/org/tiny");
  ASSERT_EQ(sets->size(), 1U);
  EXPECT_EQ(sets->at(0).scan.type, cache::RepoType::kDataset);
  EXPECT_EQ(find_cached_repo(locations(), "dataset/org/tiny")->size(), 1U);
  EXPECT_EQ(find_cached_repo(locations(), "org/none").error().code, Code::kNotFound);
  EXPECT_EQ(find_cached_repo(locations(), "../etc").error().code, Code::kInvalidArgument);
}

TEST_F(RepoRowsTest, OneRepositoryShowsItsFilesAndWhatIsLeftOver) {
  make("root/hub/models--org--tiny");
  std::string const repo = "root/hub/models--org--tiny/";
  folder_.write(repo + "blobs/" + std::string(64, 'a'), "orphan");
  folder_.write(repo + "blobs/" + std::string(64, 'd') + ".incomplete", "half");
  fs::create_symlink("../../blobs/" + std::string(64, 'e'),
                     folder_ / (repo + "snapshots/" + commit() + "/lost\x1b[2J"));
  auto const found = find_cached_repo(locations(), "org/tiny");
  ASSERT_TRUE(found);
  auto const text = repo_text(found->at(0));
  for (auto const* part : {"tiny.gguf", "missing", "partial download of another program", "blob"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  auto const json = to_json(found->at(0), to_row(found->at(0).scan, "primary"));
  EXPECT_EQ(json.at("revisions").at(0).at("entries").as_array().size(), 2U);
  EXPECT_EQ(json.at("blobs").as_array().size(), 2U);
  EXPECT_EQ(json.at("leftovers").as_array().size(), 1U);
}

}  // namespace
}  // namespace homelab::cli
