#include "mirror/mirror.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/hash.h"
#include "cache/blob_writer.h"
#include "support/temp_dir.h"

namespace homelab::mirror {
namespace {

namespace fs = std::filesystem;
using cache::BlobName;
using cache::CommitHash;
using cache::RepoId;
using cache::RepoPath;
using cache::RepoWriter;
using cache::Revision;
using cache::Tree;
using cache::TreeFile;

BlobName git_name(std::string_view content) {
  Hasher hasher = Hasher::git_blob(content.size());
  hasher.update(content);
  return BlobName::parse(hasher.finish()).value();
}

std::string const kWeights = "weights";

/// One repository with a listing of three files, of which "big.bin" is an LFS file.
class MirrorTest : public ::testing::Test {
 protected:
  MirrorTest() : mirror_({dir_ / "hub"}), writer_(RepoWriter::open(dir_ / "hub", repo()).value()) {
    tree_.files = {listed("big.bin", kWeights), listed("config.json", "{}"),
                   listed("sub/dir/x.txt", "x")};
    tree_.files[0].lfs_sha256 = sha256_hex(kWeights);
    tree_.files[0].xet_hash = std::string(64, 'e');
  }

  static RepoId repo() { return RepoId::parse("org/name").value(); }
  static CommitHash commit() { return CommitHash::parse(std::string(40, 'c')).value(); }
  static Revision rev(std::string_view text) { return Revision::parse(text).value(); }
  static RepoPath path(std::string_view text) { return RepoPath::parse(text).value(); }
  static TreeFile listed(std::string_view name, std::string_view content) {
    return {path(name), content.size(), git_name(content).text(), std::nullopt, std::nullopt};
  }

  void store(std::string_view name, std::string_view content, BlobName const& blob) {
    ASSERT_TRUE(writer_.put_blob(blob, std::as_bytes(std::span(content))));
    RepoWriter::Link const link{path(name), blob};
    ASSERT_TRUE(writer_.link_all(commit(), std::span(&link, 1)));
  }
  void store_all() {
    store("big.bin", kWeights, BlobName::parse(sha256_hex(kWeights)).value());
    store("config.json", "{}", git_name("{}"));
    store("sub/dir/x.txt", "x", git_name("x"));
  }
  void publish() {
    ASSERT_TRUE(writer_.write_tree(commit(), tree_));
    ASSERT_TRUE(writer_.write_ref(Revision::main(), commit()));
  }
  Reason why_not(std::string_view name, std::string_view revision = "main") {
    auto const file = mirror_.resolve(repo(), rev(revision), path(name));
    EXPECT_FALSE(file);
    return file ? Reason::kBroken : file.error().reason;
  }

  test::TempDir dir_;
  Mirror mirror_;
  RepoWriter writer_;
  Tree tree_;
};

TEST_F(MirrorTest, ARepositoryThatIsNotHereIsRepoNotFound) {
  auto const info = mirror_.repo_info(RepoId::parse("no/body").value(), Revision::main());
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().http_status(), 404);
  EXPECT_EQ(info.error().hub_code(), "RepoNotFound");
  EXPECT_EQ(info.error().commit, std::nullopt);
}

TEST_F(MirrorTest, AnUnknownRevisionIsRevisionNotFound) {
  publish();
  for (auto const& text : {std::string("v9"), std::string(40, 'd')}) {
    auto const info = mirror_.repo_info(repo(), rev(text));
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().hub_code(), "RevisionNotFound");
  }
  EXPECT_TRUE(mirror_.repo_info(repo(), rev(commit().text())));
  EXPECT_TRUE(mirror_.repo_info(repo(), rev("HEAD")));
}

TEST_F(MirrorTest, RepositoryInformationHasWhatClientsRead) {
  store_all();
  publish();
  auto const info = mirror_.repo_info(repo(), Revision::main(), true);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->commit, commit());
  auto const& body = info->body.as_object();
  EXPECT_EQ(body.at("id").as_string(), "org/name");
  EXPECT_EQ(body.at("sha").as_string(), commit().text());
  EXPECT_EQ(body.at("private").as_bool(), false);
  EXPECT_EQ(body.at("gated").as_bool(), false);
  EXPECT_EQ(body.at("lastModified").as_string().size(), 24U);
  auto const& siblings = body.at("siblings").as_array();
  ASSERT_EQ(siblings.size(), 3U);
  EXPECT_EQ(siblings[0].at("rfilename").as_string(), "big.bin");
  EXPECT_EQ(siblings[0].at("lfs").at("sha256").as_string(), sha256_hex(kWeights));
  EXPECT_FALSE(mirror_.repo_info(repo(), Revision::main())
                   ->body.at("siblings")
                   .at(0)
                   .as_object()
                   .contains("lfs"));
}

TEST_F(MirrorTest, TheTreeListsFilesAndFoldersSortedAndWithoutXet) {
  publish();
  auto const tree = mirror_.tree(repo(), Revision::main(), {"", true, false});
  ASSERT_TRUE(tree);
  auto const& entries = tree->body.as_array();
  std::vector<std::string> paths;
  for (auto const& entry : entries) paths.emplace_back(entry.at("path").as_string());
  EXPECT_EQ(paths, (std::vector<std::string>{"big.bin", "config.json", "sub", "sub/dir",
                                             "sub/dir/x.txt"}));
  EXPECT_EQ(entries[0].at("lfs").at("oid").as_string(), sha256_hex(kWeights));
  EXPECT_EQ(entries[0].at("lfs").at("pointerSize").to_number<int>(), 126);
  EXPECT_EQ(entries[2].at("type").as_string(), "directory");
  EXPECT_EQ(json::serialize(tree->body).find("xet"), std::string::npos);
  EXPECT_EQ(json::serialize(tree->body).find(std::string(64, 'e')), std::string::npos);
}

TEST_F(MirrorTest, FoldersCanBeListedAloneAndMissingOnesAreEntryNotFound) {
  publish();
  EXPECT_EQ(mirror_.tree(repo(), Revision::main(), {"", false, false})->body.as_array().size(), 3U);
  auto const sub = mirror_.tree(repo(), Revision::main(), {"sub", false, true});
  ASSERT_TRUE(sub);
  ASSERT_EQ(sub->body.as_array().size(), 1U);
  EXPECT_EQ(sub->body.at(0).at("path").as_string(), "sub/dir");
  EXPECT_EQ(sub->body.at(0).at("lastCommit").at("id").as_string(), commit().text());
  auto const none =
      mirror_.tree(repo(), Revision::main(), {"additional_chat_templates", false, false});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().hub_code(), "EntryNotFound");
  EXPECT_EQ(none.error().commit, commit());
}

TEST_F(MirrorTest, WithoutAListingTheAnswerIsTryLaterNeverNotFound) {
  store_all();
  ASSERT_TRUE(writer_.write_ref(Revision::main(), commit()));
  EXPECT_EQ(mirror_.repo_info(repo(), Revision::main()).error().http_status(), 503);
  EXPECT_EQ(mirror_.tree(repo(), Revision::main(), {}).error().http_status(), 503);
  EXPECT_EQ(why_not("other.json"), Reason::kNotComplete);
  ASSERT_TRUE(writer_.mark_absent(commit(), path("other.json")));
  EXPECT_EQ(why_not("other.json"), Reason::kEntryNotFound);
  EXPECT_TRUE(mirror_.resolve(repo(), Revision::main(), path("config.json")));
}

TEST_F(MirrorTest, ResolveGivesContentNameAndCommit) {
  store_all();
  publish();
  auto const big = mirror_.resolve(repo(), Revision::main(), path("big.bin"));
  ASSERT_TRUE(big) << big.error().message;
  EXPECT_EQ(big->etag.text(), sha256_hex(kWeights));
  EXPECT_EQ(big->commit, commit());
  EXPECT_EQ(big->size_bytes, kWeights.size());
  std::string content(kWeights.size(), '\0');
  ASSERT_EQ(::pread(big->file.get(), content.data(), content.size(), 0),
            static_cast<ssize_t>(content.size()));
  EXPECT_EQ(content, kWeights);
}

TEST_F(MirrorTest, AFileThatIsNotListedDoesNotExistAndAListedOneThatIsNotHereMay) {
  store("config.json", "{}", git_name("{}"));
  publish();
  EXPECT_EQ(why_not("nope.json"), Reason::kEntryNotFound);
  EXPECT_EQ(why_not("big.bin"), Reason::kNotComplete);
}

TEST_F(MirrorTest, WrongSizesAndForeignBlobsAreNotServed) {
  store_all();
  publish();
  fs::resize_file(dir_ / "hub/models--org--name/blobs" / sha256_hex(kWeights), 3);
  EXPECT_EQ(why_not("big.bin"), Reason::kNotComplete);
  store("config.json", "[]", git_name("[]"));
  EXPECT_EQ(why_not("config.json"), Reason::kNotComplete) << "same size, other content";
}

TEST_F(MirrorTest, LinksThatLeaveTheCacheAreNotServed) {
  publish();
  auto const secret = dir_.write("secret", kWeights);
  fs::create_directories(dir_ / "hub/models--org--name/snapshots" / commit().text());
  fs::create_symlink(secret,
                     dir_ / "hub/models--org--name/snapshots" / commit().text() / "big.bin");
  EXPECT_EQ(why_not("big.bin"), Reason::kNotComplete);
}

TEST_F(MirrorTest, ASecondHubFolderCompletesTheFirst) {
  store("config.json", "{}", git_name("{}"));
  publish();
  auto other = RepoWriter::open(dir_ / "other", repo()).value();
  auto const blob = BlobName::parse(sha256_hex(kWeights)).value();
  ASSERT_TRUE(other.put_blob(blob, std::as_bytes(std::span(kWeights))));
  RepoWriter::Link const link{path("big.bin"), blob};
  ASSERT_TRUE(other.link_all(commit(), std::span(&link, 1)));
  Mirror const both({dir_ / "hub", dir_ / "missing", dir_ / "other"});
  EXPECT_TRUE(both.resolve(repo(), Revision::main(), path("big.bin")));
  EXPECT_TRUE(both.resolve(repo(), Revision::main(), path("config.json")));
}

TEST_F(MirrorTest, PathsInfoAnswersForWhatExists) {
  store_all();
  publish();
  std::vector<std::string> const paths = {"config.json", "nope", "sub", "../../etc/passwd", ""};
  auto const info = mirror_.paths_info(repo(), Revision::main(), paths, true);
  ASSERT_TRUE(info);
  ASSERT_EQ(info->body.as_array().size(), 2U);
  EXPECT_EQ(info->body.at(0).at("path").as_string(), "config.json");
  EXPECT_EQ(info->body.at(0).at("lastCommit").at("id").as_string(), commit().text());
  EXPECT_EQ(info->body.at(1).at("type").as_string(), "directory");
}

TEST_F(MirrorTest, PathsInfoWithoutAListingKnowsOnlyWhatIsOnDisk) {
  store_all();
  ASSERT_TRUE(writer_.write_ref(Revision::main(), commit()));
  std::vector<std::string> const here = {"big.bin"};
  auto const info = mirror_.paths_info(repo(), Revision::main(), here);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->body.at(0).at("lfs").at("oid").as_string(), sha256_hex(kWeights));
  std::vector<std::string> const more = {"big.bin", "unknown"};
  EXPECT_EQ(mirror_.paths_info(repo(), Revision::main(), more).error().reason,
            Reason::kNotComplete);
}

TEST_F(MirrorTest, RefsAreSortedIntoBranchesAndPullRequests) {
  for (auto const* name : {"main", "feat/x", "refs/pr/7", "refs/convert/parquet", "cccccccc"})
    ASSERT_TRUE(writer_.write_ref(rev(name), commit()));
  auto const refs = mirror_.refs(repo(), true);
  ASSERT_TRUE(refs);
  ASSERT_EQ(refs->at("branches").as_array().size(), 2U);
  EXPECT_EQ(refs->at("branches").at(1).at("name").as_string(), "main");
  EXPECT_EQ(refs->at("branches").at(1).at("ref").as_string(), "refs/heads/main");
  EXPECT_EQ(refs->at("branches").at(1).at("targetCommit").as_string(), commit().text());
  EXPECT_EQ(refs->at("converts").at(0).at("name").as_string(), "parquet");
  EXPECT_EQ(refs->at("pullRequests").at(0).at("ref").as_string(), "refs/pr/7");
  EXPECT_FALSE(mirror_.refs(repo())->as_object().contains("pullRequests"));
}

TEST_F(MirrorTest, SearchFindsRepositoriesThatHaveFiles) {
  store_all();
  ASSERT_TRUE(RepoWriter::open(dir_ / "hub", RepoId::parse("empty/repo").value()));
  EXPECT_EQ(mirror_.list("", 10)->as_array().size(), 1U);
  EXPECT_EQ(mirror_.list("NAME", 10)->at(0).at("id").as_string(), "org/name");
  EXPECT_TRUE(mirror_.list("other", 10)->as_array().empty());
  EXPECT_TRUE(mirror_.list("", 0)->as_array().empty());
}

TEST_F(MirrorTest, UnencodedRevisionsAreSplitAtTheLongestKnownRef) {
  publish();
  ASSERT_TRUE(writer_.write_ref(rev("refs/pr/1"), commit()));
  ASSERT_TRUE(writer_.write_ref(rev("feat/nested"), commit()));
  auto const split = [&](std::vector<std::string> const& segments) {
    auto const parts = mirror_.split_revision(repo(), segments);
    return parts ? parts->revision.text() + " | " + parts->path
                 : std::string(parts.error().hub_code());
  };
  EXPECT_EQ(split({"main", "a", "b.txt"}), "main | a/b.txt");
  EXPECT_EQ(split({"refs/pr/1", "a"}), "refs/pr/1 | a");
  EXPECT_EQ(split({"refs", "pr", "1", "a"}), "refs/pr/1 | a");
  EXPECT_EQ(split({"refs", "pr", "99", "a"}), "refs/pr/99 | a");
  EXPECT_EQ(split({"feat", "nested"}), "feat/nested | ");
  EXPECT_EQ(split({"unknown", "x"}), "unknown | x");
  EXPECT_EQ(split({"..", "x"}), "RevisionNotFound");
  EXPECT_EQ(split({}), "RevisionNotFound");
}

TEST_F(MirrorTest, ABrokenRefIsAServerErrorInOneLine) {
  dir_.write("hub/models--org--name/refs/main", "junk\nmore");
  auto const info = mirror_.repo_info(repo(), Revision::main());
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().http_status(), 500);
  EXPECT_EQ(info.error().message.find('\n'), std::string::npos);
}

TEST_F(MirrorTest, NothingIsWritten) {
  store_all();
  publish();
  auto const count = [&] {
    return std::distance(fs::recursive_directory_iterator(dir_.path()),
                         fs::recursive_directory_iterator());
  };
  auto const before = count();
  (void)mirror_.repo_info(repo(), Revision::main());
  (void)mirror_.resolve(repo(), Revision::main(), path("none"));
  (void)mirror_.list("", 5);
  EXPECT_EQ(count(), before);
}

}  // namespace
}  // namespace homelab::mirror
