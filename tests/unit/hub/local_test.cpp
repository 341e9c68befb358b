#include "local.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "builders.h"
#include "support/temp_dir.h"

namespace homelab::hub {
namespace {

using homelab::test::TempDir;

std::string const kCommit(40, 'c');
std::string const kFolder = "models--org--m/";
std::string const kSnapshot = kFolder + "snapshots/" + kCommit + "/";

cache::ModelReference model(std::string const& text = "org/m") {
  return cache::ModelReference::parse(text).value();
}

/// A snapshot of plain files, as a person would copy them there.
void put(TempDir const& hub, std::initializer_list<std::string_view> names) {
  hub.write(kFolder + "refs/main", kCommit);
  for (auto const name : names) hub.write(kSnapshot + std::string(name), "x");
}

void put_tree(TempDir const& hub, cache::Tree tree) {
  for (auto& file : tree.files) file.size_bytes = 1;
  hub.write(kFolder + "trees/" + kCommit + ".json", cache::to_tree_json(tree));
}

bool is_there(TempDir const& hub, std::string const& reference = "org/m") {
  auto const found = find_local(hub.path(), model(reference));
  EXPECT_TRUE(found) << found.error().message;
  return found && found->has_value();
}

TEST(FindLocal, FindsNothingInAnEmptyPlace) {
  TempDir const hub;
  EXPECT_FALSE(is_there(hub));
}

TEST(FindLocal, TakesASnapshotPutThereByHand) {
  TempDir const hub;
  put(hub, {"config.json", "model.safetensors", "tokenizer.json"});
  auto const found = find_local(hub.path(), model());
  ASSERT_TRUE(found && found->has_value());
  EXPECT_EQ((*found)->format, ModelFormat::kSafetensors);
  EXPECT_EQ((*found)->folder, hub / kSnapshot.substr(0, kSnapshot.size() - 1));
  EXPECT_EQ((*found)->model_path, (*found)->folder);
  EXPECT_EQ((*found)->total_bytes, 3U);
  EXPECT_EQ((*found)->downloaded_bytes, 0U);
}

TEST(FindLocal, NeedsConfigurationWeightsAndATokenizer) {
  for (auto const missing : {0U, 1U, 2U}) {
    TempDir const hub;
    std::vector<std::string_view> const names = {"config.json", "model.safetensors",
                                                 "tokenizer.json"};
    hub.write(kFolder + "refs/main", kCommit);
    for (auto i = 0U; i < names.size(); ++i)
      if (i != missing) hub.write(kSnapshot + std::string(names[i]), "x");
    EXPECT_FALSE(is_there(hub)) << names[missing];
  }
}

TEST(FindLocal, AcceptsEveryUsualTokenizer) {
  for (auto const name : {"tokenizer.model", "vocab.txt", "spiece.model", "qwen.tiktoken"}) {
    TempDir const hub;
    put(hub, {"config.json", "model.safetensors", name});
    EXPECT_TRUE(is_there(hub)) << name;
  }
  TempDir const half;
  put(half, {"config.json", "model.safetensors", "vocab.json"});
  EXPECT_FALSE(is_there(half));
}

TEST(FindLocal, NeedsEveryShardTheIndexNames) {
  TempDir const hub;
  put(hub, {"config.json", "tokenizer.json", "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors"});
  hub.write(kSnapshot + "model.safetensors.index.json",
            R"({"weight_map":{"a":"model-00001-of-00002.safetensors","b":"extra.safetensors"}})");
  EXPECT_FALSE(is_there(hub));
  hub.write(kSnapshot + "extra.safetensors", "x");
  EXPECT_TRUE(is_there(hub));
  hub.write(kSnapshot + "model.safetensors.index.json", "not json");
  EXPECT_FALSE(is_there(hub));
}

TEST(FindLocal, NeedsEveryShardThatTheNamesPromise) {
  TempDir const hub;
  put(hub, {"config.json", "tokenizer.json", "model-00001-of-00002.safetensors"});
  EXPECT_FALSE(is_there(hub));
}

TEST(FindLocal, FindsTheNamedGgufAndItsPath) {
  TempDir const hub;
  put(hub, {"m-Q8_0.gguf", "m-Q4_K_M.gguf"});
  auto const found = find_local(hub.path(), model("org/m:q8_0"));
  ASSERT_TRUE(found && found->has_value());
  EXPECT_EQ((*found)->model_path, hub / (kSnapshot + "m-Q8_0.gguf"));
  EXPECT_EQ((*found)->variant, "Q8_0");
  EXPECT_FALSE(is_there(hub, "org/m:Q5_0"));
}

TEST(FindLocal, BelievesAStoredListingAboutWhatBelongsToTheModel) {
  TempDir const hub;
  put(hub, {"config.json", "model.safetensors", "tokenizer.json"});
  put_tree(hub, test::tree_of({"config.json", "model.safetensors", "tokenizer.json",
                               "chat_template.jinja", "README.md"}));
  EXPECT_FALSE(is_there(hub)) << "the chat template is missing";
  hub.write(kSnapshot + "chat_template.jinja", "x");
  EXPECT_TRUE(is_there(hub)) << "the README is no part of the model";
}

TEST(FindLocal, MakesDoWithLessWhenTheHubIsAway) {
  TempDir const hub;
  put(hub, {"config.json", "model.safetensors", "tokenizer.json"});
  put_tree(hub, test::tree_of(
                    {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"}));
  auto const found = find_local(hub.path(), model(), Completeness::kLoadable);
  EXPECT_TRUE(found && found->has_value());
}

TEST(FindLocal, DoesNotTakeAFileOfAnotherSizeThanListed) {
  TempDir const hub;
  put(hub, {"config.json", "model.safetensors", "tokenizer.json"});
  put_tree(hub, test::tree_of({"config.json", "model.safetensors", "tokenizer.json"}));
  EXPECT_TRUE(is_there(hub));
  hub.write(kSnapshot + "model.safetensors", "xx");
  EXPECT_FALSE(is_there(hub));
}

TEST(FindLocal, DoesNotTakeADanglingLink) {
  TempDir const hub;
  put(hub, {"config.json", "tokenizer.json"});
  std::filesystem::create_symlink("../../blobs/" + std::string(64, 'a'),
                                  hub / (kSnapshot + "model.safetensors"));
  EXPECT_FALSE(is_there(hub));
}

TEST(FindLocal, TreatsABrokenRefAsNothingThere) {
  TempDir const hub;
  put(hub, {"config.json", "model.safetensors", "tokenizer.json"});
  hub.write(kFolder + "refs/main", "");
  EXPECT_FALSE(is_there(hub));
}

TEST(FindLocal, FindsAFullCommitWithoutARef) {
  TempDir const hub;
  put(hub, {"config.json", "model.safetensors", "tokenizer.json"});
  std::filesystem::remove(hub / (kFolder + "refs/main"));
  EXPECT_FALSE(is_there(hub));
  EXPECT_TRUE(is_there(hub, "org/m@" + kCommit));
}

}  // namespace
}  // namespace homelab::hub
