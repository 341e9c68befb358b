#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub_fixture.h"
#include "link_placer.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

class SnapshotWriterTest : public HubFixture {
 protected:
  [[nodiscard]] Path ref(std::string_view name) const { return repo() / "refs" / name; }
  static Revision revision(std::string_view text) { return Revision::parse(text).value(); }
};

TEST_F(SnapshotWriterTest, LinksAreRelativeAtEveryDepth) {
  BlobName const blob = put("content");
  std::vector<RepoWriter::Link> const links = {
      {path("a.txt"), blob}, {path("sub/dir/b.txt"), blob}, {path("sub/c \xc3\xa9#?.txt"), blob}};
  ASSERT_TRUE(writer().link_all(commit(), links));
  EXPECT_EQ(fs::read_symlink(entry("a.txt")), "../../blobs/" + blob.text());
  EXPECT_EQ(fs::read_symlink(entry("sub/dir/b.txt")), "../../../../blobs/" + blob.text());
  EXPECT_EQ(test::slurp(entry("sub/c \xc3\xa9#?.txt")), "content");
}

TEST_F(SnapshotWriterTest, NothingButLinksIsEverInASnapshot) {
  BlobName const blob = put("content");
  ASSERT_TRUE(link("a", blob));
  fs::remove(entry("a"));
  fs::create_symlink("nowhere", entry("a"));
  ASSERT_TRUE(link("a", blob));
  EXPECT_EQ(std::distance(fs::directory_iterator(entry("")), fs::directory_iterator()), 1);
  EXPECT_EQ(std::distance(fs::directory_iterator(repo() / "blobs"), fs::directory_iterator()), 1);
}

TEST_F(SnapshotWriterTest, AMissingBlobIsNeverLinked) {
  auto const done = link("a", git_name("never written"));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kFailedPrecondition);
  EXPECT_FALSE(fs::is_symlink(entry("a")));
}

TEST_F(SnapshotWriterTest, DanglingAndWrongLinksAreReplaced) {
  BlobName const right = put("right");
  BlobName const other = put("other");
  fs::create_directories(entry(""));
  fs::create_symlink("../../blobs/gone", entry("dangling"));
  ASSERT_TRUE(link("wrong", other));
  ASSERT_TRUE(link("dangling", right));
  ASSERT_TRUE(link("wrong", right));
  EXPECT_EQ(test::slurp(entry("dangling")), "right");
  EXPECT_EQ(test::slurp(entry("wrong")), "right");
}

TEST_F(SnapshotWriterTest, AbsoluteLinksAndPlainFilesPlacedByHandAreKept) {
  BlobName const blob = put("content");
  fs::create_directories(entry(""));
  fs::create_symlink(fs::absolute(repo() / "blobs" / blob.text()), entry("absolute"));
  std::ofstream(entry("plain")) << "CONTENT";
  ASSERT_TRUE(link("absolute", blob));
  ASSERT_TRUE(link("plain", blob));
  EXPECT_TRUE(fs::read_symlink(entry("absolute")).is_absolute());
  EXPECT_EQ(test::slurp(entry("plain")), "CONTENT");
  std::ofstream(entry("plain")) << "of another length";
  ASSERT_TRUE(link("plain", blob));
  EXPECT_TRUE(fs::is_symlink(entry("plain")));
}

TEST_F(SnapshotWriterTest, APlantedFolderLinkDoesNotRedirectAWrite) {
  BlobName const blob = put("content");
  fs::create_directory(dir_ / "outside");
  fs::create_directories(entry(""));
  fs::create_directory_symlink(dir_ / "outside", entry("sub"));
  auto const done = link("sub/file", blob);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kFailedPrecondition);
  EXPECT_NE(done.error().message.find("sub"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(dir_ / "outside"));
}

TEST_F(SnapshotWriterTest, LinkedSnapshotsRefsAndTreesFoldersAreRefused) {
  BlobName const blob = put("content");
  fs::create_directory(dir_ / "outside");
  for (auto const* name : {"snapshots", "refs", "trees", ".no_exist"})
    fs::create_directory_symlink(dir_ / "outside", repo() / name);
  EXPECT_EQ(link("a", blob).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(writer().write_ref(Revision::main(), commit()).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(writer().write_tree(commit(), {}).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(writer().mark_absent(commit(), path("x")).error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(fs::is_empty(dir_ / "outside"));
}

TEST_F(SnapshotWriterTest, AFolderInPlaceOfAFileIsNamedInTheError) {
  BlobName const blob = put("content");
  fs::create_directories(entry("a"));
  auto const done = link("a", blob);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kFailedPrecondition);
  EXPECT_NE(done.error().message.find("folder"), std::string::npos);
}

TEST_F(SnapshotWriterTest, ALinkIntoTheSharedStoreCountsAsTheBlob) {
  BlobName const blob = sha_name("shared");
  dir_.write("root/hub/blobs/aa/" + std::string(64, 'a'), "shared");
  fs::create_symlink("../../blobs/aa/" + std::string(64, 'a'), repo() / "blobs" / blob.text());
  ASSERT_TRUE(link("model.bin", blob));
  EXPECT_EQ(test::slurp(entry("model.bin")), "shared");
}

TEST_F(SnapshotWriterTest, RefsHoldFortyCharactersAndNoNewline) {
  ASSERT_TRUE(writer().write_ref(Revision::main(), commit()));
  ASSERT_TRUE(writer().write_ref(revision("refs/pr/1"), commit()));
  EXPECT_EQ(test::slurp(ref("main")), commit().text());
  EXPECT_EQ(test::slurp(ref("refs/pr/1")), commit().text());
  EXPECT_EQ(writer().folder().read_ref(revision("refs/pr/1")), commit());
}

TEST_F(SnapshotWriterTest, AnEqualRefIsNotRewrittenAndABrokenOneIs) {
  ASSERT_TRUE(writer().write_ref(Revision::main(), commit()));
  struct stat before{};
  ASSERT_EQ(::stat(ref("main").c_str(), &before), 0);
  ASSERT_TRUE(writer().write_ref(Revision::main(), commit()));
  struct stat after{};
  ASSERT_EQ(::stat(ref("main").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  std::ofstream(ref("main")) << commit().text() << "\n";
  ASSERT_TRUE(writer().write_ref(Revision::main(), commit()));
  EXPECT_EQ(test::slurp(ref("main")), commit().text());
}

TEST_F(SnapshotWriterTest, AFullCommitHasNoRef) {
  ASSERT_TRUE(writer().write_ref(revision(commit().text()), commit()));
  EXPECT_FALSE(fs::exists(repo() / "refs"));
}

TEST_F(SnapshotWriterTest, ARefThatIsALinkIsReplacedNotFollowed) {
  auto const victim = dir_.write("victim", "precious");
  fs::create_directories(repo() / "refs");
  fs::create_symlink(victim, ref("main"));
  ASSERT_TRUE(writer().write_ref(Revision::main(), commit()));
  EXPECT_EQ(test::slurp(victim), "precious");
  EXPECT_EQ(test::slurp(ref("main")), commit().text());
}

TEST_F(SnapshotWriterTest, ABranchBelowABranchIsAClearError) {
  ASSERT_TRUE(writer().write_ref(revision("feat"), commit()));
  EXPECT_EQ(writer().write_ref(revision("feat/nested"), commit()).error().code,
            Code::kFailedPrecondition);
  ASSERT_TRUE(writer().write_ref(revision("a/b"), commit()));
  EXPECT_EQ(writer().write_ref(revision("a"), commit()).error().code, Code::kFailedPrecondition);
}

TEST_F(SnapshotWriterTest, ALeftoverOfACrashIsReusedAndNeverLooksLikeARef) {
  dir_.write("root/hub/models--org--name/.homelab-ref.part", "half");
  ASSERT_TRUE(writer().write_ref(Revision::main(), commit()));
  EXPECT_FALSE(fs::exists(repo() / ".homelab-ref.part"));
  EXPECT_EQ(writer().folder().refs()->size(), 1U);
}

TEST_F(SnapshotWriterTest, TreesComeBackAndBadHashesAreNotStored) {
  TreeFile file{path("a"), 7, git_name("content").text(), std::nullopt, std::nullopt};
  ASSERT_TRUE(writer().write_tree(commit(), Tree{{file}}));
  auto const tree = writer().folder().read_tree(commit());
  ASSERT_TRUE(tree);
  ASSERT_TRUE(*tree);
  EXPECT_EQ((*tree)->files, std::vector{file});
  struct stat found{};
  ASSERT_EQ(::stat((repo() / "trees" / (commit().text() + ".json")).c_str(), &found), 0);
  EXPECT_NE(found.st_mode & 0044U, 0U) << "other users of the cache must be able to read it";
  file.git_oid = "\", \"evil\": \"";
  EXPECT_EQ(writer().write_tree(commit(), Tree{{file}}).error().code, Code::kInvalidArgument);
}

TEST_F(SnapshotWriterTest, AbsentFilesAreRememberedAsEmptyMarkers) {
  ASSERT_TRUE(writer().mark_absent(commit(), path("sub/none.json")));
  ASSERT_TRUE(writer().mark_absent(commit(), path("sub/none.json")));
  EXPECT_EQ(fs::file_size(repo() / ".no_exist" / commit().text() / "sub/none.json"), 0U);
  EXPECT_TRUE(writer().folder().is_marked_absent(commit(), path("sub/none.json")));
  EXPECT_FALSE(writer().folder().is_marked_absent(commit(), path("sub")));
}

/// The fallbacks for file systems without symlinks.
class PlainEntryTest : public SnapshotWriterTest {
 protected:
  void SetUp() override {
    fs::create_directories(entry(""));
    blobs_ = open_folder(repo() / "blobs").value();
    folder_ = open_folder(entry("")).value();
  }
  FolderAt blobs_;
  FolderAt folder_;
};

TEST_F(PlainEntryTest, IsARegularFileThatSharesTheBlobsSpace) {
  BlobName const blob = put("content");
  ASSERT_TRUE(place_link({blobs_, folder_, "a", blob.text(), 0, true}, LinkMode::kHardLink));
  EXPECT_FALSE(fs::is_symlink(entry("a")));
  EXPECT_EQ(test::slurp(entry("a")), "content");
  EXPECT_EQ(fs::hard_link_count(entry("a")), 2U);
  ASSERT_TRUE(place_link({blobs_, folder_, "a", blob.text(), 0, true}, LinkMode::kHardLink));
  EXPECT_EQ(repo_size_bytes(writer().folder()), 7U);
}

TEST_F(PlainEntryTest, WithoutHardLinksIsACopyWhileTheBlobIsNeededAndThenTheBlobItself) {
  BlobName const blob = put("content");
  ASSERT_TRUE(place_link({blobs_, folder_, "a", blob.text(), 0, false}, LinkMode::kMove));
  EXPECT_EQ(test::slurp(entry("a")), "content");
  EXPECT_TRUE(writer().has_blob(blob, 7));
  ASSERT_TRUE(place_link({blobs_, folder_, "b", blob.text(), 0, true}, LinkMode::kMove));
  EXPECT_EQ(test::slurp(entry("b")), "content");
  EXPECT_FALSE(writer().has_blob(blob, 7)) << "one copy on disk, not two";
  EXPECT_TRUE(place_link({blobs_, folder_, "b", blob.text(), 0, true}, LinkMode::kMove))
      << "what is already there stays";
  EXPECT_EQ(std::distance(fs::directory_iterator(repo() / "blobs"), fs::directory_iterator()), 0);
}

TEST_F(PlainEntryTest, ReplacesADanglingLink) {
  BlobName const blob = put("content");
  fs::create_symlink("nowhere", entry("a"));
  ASSERT_TRUE(place_link({blobs_, folder_, "a", blob.text(), 0, true}, LinkMode::kHardLink));
  EXPECT_FALSE(fs::is_symlink(entry("a")));
}

}  // namespace
}  // namespace homelab::cache
