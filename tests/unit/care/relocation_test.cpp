// cache mv and the registrations: what is refused, which rows follow, and when.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/hash.h"
#include "care/move.h"
#include "support/temp_dir.h"

namespace homelab::care {
namespace {

namespace fs = std::filesystem;

constexpr auto kFolder = "models--org--name";
constexpr auto kCommit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

MvChoice to(std::string const& location) { return {"org/name", location, "", "", false, false}; }
MvChoice into(fs::path const& root) { return {"org/name", "", root.string(), "", false, false}; }
template <class T>
MvChoice with(MvChoice choice, T MvChoice::* field, T value) {
  choice.*field = std::move(value);
  return choice;
}

/// Two locations on one file system; a registry that is a list.
class RelocationTest : public testing::Test {
 protected:
  RelocationTest() {
    work_.models = [this]() -> Result<std::vector<RegisteredModel>> { return rows_; };
    work_.relocate = [this](Relocation const& relocation, bool force) -> Status {
      source_was_there_ = fs::exists(file_in("first"));
      target_was_there_ = fs::exists(file_in("second"));
      forced_ = force;
      if (refusal_) return fail(*refusal_);
      for (auto& row : rows_)
        for (auto const& name : relocation.names)
          if (row.name == name) {
            row.location = relocation.location;
            row.cache_path = relocation.root;
          }
      return {};
    };
  }

  cache::Locations locations() const {
    return {{(folder_ / "first").string(), {}, 10, "test"},
            {(folder_ / "second").string(), {}, 10, "test"},
            0.9};
  }
  [[nodiscard]] fs::path file_in(std::string const& root) const {
    return folder_ / root / "hub" / kFolder / "snapshots" / kCommit / "model.gguf";
  }
  void write_repo(std::string const& root) const {
    std::string const repo = root + "/hub/" + kFolder;
    std::string const content = "GGUF" + std::string(1000, 'x');
    std::string const blob = sha256_hex(content);
    folder_.write(repo + "/blobs/" + blob, content);
    folder_.write(repo + "/refs/main", kCommit);
    fs::create_directories(file_in(root).parent_path());
    fs::create_symlink("../../blobs/" + blob, file_in(root));
  }
  void add_row(std::string const& name, std::string const& hf_path = "org/name",
               std::string const& location = "primary", bool loaded = false) {
    rows_.push_back({name, hf_path, location, std::nullopt, "", loaded});
  }
  [[nodiscard]] RegisteredModel const& row(std::string const& name) const {
    for (auto const& one : rows_)
      if (one.name == name) return one;
    throw std::runtime_error("no row " + name);
  }

  test::TempDir folder_;
  std::vector<RegisteredModel> rows_;
  std::optional<Error> refusal_;
  bool source_was_there_ = false;
  bool target_was_there_ = false;
  bool forced_ = false;
  Work work_{.locations = locations()};
};

TEST_F(RelocationTest, RowsOfTheSourceFollowWhileBothSidesAreComplete) {
  write_repo("first");
  add_row("mine");
  add_row("variant", "org/name@v1:Q4_1");
  add_row("other", "org/other");
  add_row("elsewhere", "org/name", "secondary");
  auto const answer = run(work_, to("secondary"));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(source_was_there_ && target_was_there_) << "a crash leaves a model that loads";
  EXPECT_FALSE(fs::exists(file_in("first")));
  EXPECT_EQ(row("mine").location, "secondary");
  EXPECT_EQ(row("variant").location, "secondary");
  EXPECT_EQ(row("other").location, "primary");
  auto const& told = answer->value.as_object().at("registrations").as_array();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told.at(0).at("model").as_string(), "mine");
  EXPECT_EQ(told.at(0).at("from").at("location").as_string(), "primary");
  EXPECT_EQ(told.at(0).at("to").at("location").as_string(), "secondary");
}

TEST_F(RelocationTest, WhatNobodyRegisteredIsRenamed) {
  write_repo("first");
  add_row("other", "org/other");
  auto const answer = run(work_, to("secondary"));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->value.at("method").as_string(), "rename");
  EXPECT_EQ(answer->value.at("registrations").as_array().size(), 0U);
}

TEST_F(RelocationTest, WhatLinksWouldLeaveBehindIsRenamedAndTheRowFollows) {
  write_repo("first");
  folder_.write(
      std::string("first/hub/") + kFolder + "/blobs/" + std::string(64, 'd') + ".homelab.part",
      "half");
  add_row("mine");
  auto const answer = run(work_, to("secondary"));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->value.at("method").as_string(), "rename");
  EXPECT_EQ(row("mine").location, "secondary");
}

TEST_F(RelocationTest, ADryRunNamesTheRowsAndChangesNothing) {
  write_repo("first");
  add_row("mine");
  auto const answer = run(work_, with(to("secondary"), &MvChoice::dry_run, true));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->value.at("registrations").as_array().size(), 1U);
  EXPECT_EQ(answer->value.at("method").as_string(), "link");
  EXPECT_EQ(row("mine").location, "primary");
  EXPECT_FALSE(fs::exists(folder_ / "second"));
}

TEST_F(RelocationTest, ACustomRootIsStoredAsItsPath) {
  write_repo("first");
  add_row("mine");
  std::string const root = (folder_ / "third").string();
  ASSERT_TRUE(run(work_, into(root)));
  EXPECT_EQ(row("mine").location, "custom");
  EXPECT_EQ(row("mine").cache_path, root);
  ASSERT_TRUE(run(work_, into(root)));
}

TEST_F(RelocationTest, ARootThatIsALocationHasTheLocationsName) {
  write_repo("first");
  add_row("mine");
  ASSERT_TRUE(run(work_, into(folder_ / "second")));
  EXPECT_EQ(row("mine").location, "secondary");
  EXPECT_EQ(row("mine").cache_path, (folder_ / "second").string());
}

TEST_F(RelocationTest, ALoadedModelStaysUnlessForced) {
  write_repo("first");
  add_row("mine", "org/name", "primary", true);
  auto const refused = run(work_, to("secondary"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("loaded as 'mine'"), std::string::npos);
  EXPECT_TRUE(fs::exists(file_in("first")));
  ASSERT_TRUE(run(work_, with(to("secondary"), &MvChoice::force, true)));
  EXPECT_TRUE(forced_);
  EXPECT_EQ(row("mine").location, "secondary");
}

TEST_F(RelocationTest, AModelThatIsLoadedMeanwhileKeepsTheSource) {
  write_repo("first");
  add_row("mine");
  refusal_ = Error(Code::kFailedPrecondition, "model 'mine' is loaded");
  auto const stopped = run(work_, to("secondary"));
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(fs::exists(file_in("first")) && fs::exists(file_in("second")));
  refusal_.reset();
  auto const again = run(work_, to("secondary"));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_FALSE(fs::exists(file_in("first")));
  EXPECT_EQ(row("mine").location, "secondary");
}

TEST_F(RelocationTest, ARowThatNamesAPathInTheSourceIsRefused) {
  write_repo("first");
  add_row("mine", file_in("first").string());
  auto const refused = run(work_, to("secondary"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("registered as 'mine'"), std::string::npos);
  EXPECT_TRUE(fs::exists(file_in("first")));
}

TEST_F(RelocationTest, ARowThatWasLeftBehindFollowsWithTheSameCommand) {
  write_repo("second");
  add_row("mine");
  add_row("third", "org/name", "custom");
  rows_.back().cache_path = (folder_ / "third").string();
  auto const answer = run(work_, with(to("secondary"), &MvChoice::from, std::string("primary")));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->value.at("method").as_string(), "nothing");
  EXPECT_EQ(row("mine").location, "secondary");
  EXPECT_EQ(row("third").location, "custom") << "--from names whose rows are meant";
  ASSERT_TRUE(run(work_, to("secondary")));
  EXPECT_EQ(row("third").location, "secondary");
}

TEST_F(RelocationTest, ARowFollowsIntoAFolderThatHasTheRevisionToo) {
  write_repo("first");
  write_repo("second");
  add_row("mine", "org/name", "secondary");
  ASSERT_TRUE(run(work_, with(to("primary"), &MvChoice::from, std::string("secondary"))));
  EXPECT_EQ(row("mine").location, "primary");
  EXPECT_FALSE(fs::exists(file_in("second")));
}

}  // namespace
}  // namespace homelab::care
