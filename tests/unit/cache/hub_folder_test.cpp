#include "cache/hub_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include "hub_fixture.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

class HubFolderTest : public HubFixture {
 protected:
  RepoFolder folder() { return RepoFolder(hub(), repo_id()); }
  void write(std::string_view name, std::string_view content) {
    dir_.write("root/hub/models--org--name/" + std::string(name), content);
  }
  void symlink(std::string_view target, Path const& at) {
    fs::create_directories(at.parent_path());
    fs::create_symlink(target, at);
  }
};

TEST_F(HubFolderTest, PathsAreThoseOfThePythonClient) {
  auto const name = sha_name("x");
  EXPECT_EQ(folder().path(), repo());
  EXPECT_EQ(folder().blob_path(name), repo() / "blobs" / name.text());
  EXPECT_EQ(folder().snapshot_path(commit()), repo() / "snapshots" / commit().text());
  EXPECT_EQ(folder().lock_path(name), hub() / ".locks/models--org--name" / (name.text() + ".lock"));
}

TEST_F(HubFolderTest, RefsAreReadWithBlanksStripped) {
  write("refs/main", commit().text() + "\n");
  write("refs/empty", "");
  write("refs/bad", "not a commit");
  EXPECT_EQ(folder().read_ref(Revision::main()), commit());
  EXPECT_EQ(folder().read_ref(Revision::parse("none").value()).error().code, Code::kNotFound);
  EXPECT_EQ(folder().read_ref(Revision::parse("empty").value()).error().code, Code::kDataLoss);
  EXPECT_EQ(folder().read_ref(Revision::parse("bad").value()).error().code, Code::kDataLoss);
  EXPECT_EQ(folder().read_ref(Revision::parse(commit().text()).value()), commit());
}

TEST_F(HubFolderTest, ARefThatIsAPipeDoesNotHang) {
  fs::create_directories(repo() / "refs");
  ASSERT_EQ(::mkfifo((repo() / "refs/main").c_str(), 0666), 0);
  EXPECT_FALSE(folder().read_ref(Revision::main()));
}

TEST_F(HubFolderTest, LeftoverTemporariesAndBrokenRefsAreNoRefs) {
  write("refs/main", commit().text());
  write("refs/refs/pr/3", commit().text());
  write("refs/main.1234abcd.tmp", commit().text());
  write("refs/half", "");
  auto const refs = folder().refs();
  ASSERT_TRUE(refs);
  EXPECT_EQ(refs->size(), 2U);
  EXPECT_TRUE(refs->contains("refs/pr/3"));
}

TEST_F(HubFolderTest, AMissingRepositoryIsEmptyNotAnError) {
  RepoFolder const none(hub(), RepoId::parse("no/body").value());
  EXPECT_TRUE(none.refs()->empty());
  EXPECT_TRUE(none.commits()->empty());
  EXPECT_EQ(none.read_tree(commit()).value(), std::nullopt);
  EXPECT_EQ(none.snapshot(commit()).error().code, Code::kNotFound);
  EXPECT_EQ(repo_size_bytes(none), 0U);
}

TEST_F(HubFolderTest, ASnapshotShowsFilesLinksAndWhatIsMissing) {
  BlobName const blob = put("four");
  ASSERT_TRUE(link("sub/linked", blob));
  write("snapshots/" + commit().text() + "/plain", "plain");
  symlink("../../blobs/" + std::string(40, '0'), entry("dangling"));
  symlink(fs::absolute(repo() / "blobs" / blob.text()).string(), entry("absolute"));
  symlink("/etc/hostname", entry("outside"));
  auto const view = folder().snapshot(commit());
  ASSERT_TRUE(view);
  ASSERT_NE(view->find("sub/linked"), nullptr);
  EXPECT_EQ(view->find("sub/linked")->blob, blob);
  EXPECT_EQ(view->find("sub/linked")->size_bytes, 4U);
  EXPECT_TRUE(view->find("sub/linked")->is_link);
  EXPECT_EQ(view->find("absolute")->blob, blob);
  EXPECT_FALSE(view->find("plain")->is_link);
  EXPECT_EQ(view->find("plain")->blob, std::nullopt);
  ASSERT_EQ(view->dangling.size(), 1U);
  EXPECT_EQ(view->dangling[0].text(), "dangling");
  EXPECT_EQ(view->find("dangling"), nullptr);
  if (auto const* outside = view->find("outside")) {
    EXPECT_EQ(outside->blob, std::nullopt);
  }
}

TEST_F(HubFolderTest, ForeignFilesNeverMakeReadingFail) {
  ASSERT_TRUE(link("a", put("x")));
  write("blobs/abc.incomplete", "");
  write("blobs/x.downloadInProgress", "");
  write("blobs/tmp_1234", "");
  write("snapshots/README", "");
  write("snapshots/not-a-commit/x", "");
  write("snapshots/" + commit().text() + "/with\nnewline", "");
  EXPECT_EQ(folder().snapshot(commit())->files.size(), 1U);
  EXPECT_EQ(folder().commits().value(), std::vector{commit()});
}

TEST_F(HubFolderTest, FolderLinksInASnapshotAreNotEntered) {
  dir_.write("outside/secret", "x");
  ASSERT_TRUE(link("a", put("x")));
  fs::create_directory_symlink(dir_ / "outside", entry("sub"));
  fs::create_directory_symlink(".", entry("loop"));
  EXPECT_EQ(folder().snapshot(commit())->files.size(), 1U);
}

TEST_F(HubFolderTest, ReposAreListedByIdAndOtherEntriesLeftAlone) {
  for (auto const* name :
       {"models--gpt2/x", "datasets--a--b/x", "models--org--a--b/x", ".locks/x", "models--z--z/x"})
    dir_.write("root/hub/" + std::string(name), "");
  dir_.write("root/hub/models--file--entry", "");
  auto const repos = list_repos(hub());
  ASSERT_TRUE(repos);
  ASSERT_EQ(repos->size(), 3U);
  EXPECT_EQ((*repos)[0].text(), "gpt2");
  EXPECT_EQ((*repos)[1].text(), "org/name");
  EXPECT_EQ((*repos)[2].text(), "z/z");
  EXPECT_TRUE(list_repos(dir_ / "nowhere")->empty());
}

TEST_F(HubFolderTest, SizesCountEachBlobOnce) {
  BlobName const blob = put("12345");
  ASSERT_TRUE(link("a", blob));
  ASSERT_TRUE(link("b", blob));
  write("snapshots/" + commit().text() + "/plain", "123");
  EXPECT_EQ(repo_size_bytes(folder()), 8U);
}

TEST_F(HubFolderTest, AnUnreadableTreeIsDataLossAndAFutureOneIsIgnored) {
  write("trees/" + commit().text() + ".json", "{");
  EXPECT_EQ(folder().read_tree(commit()).error().code, Code::kDataLoss);
  write("trees/" + commit().text() + ".json", R"({"format_version": 9})");
  EXPECT_EQ(folder().read_tree(commit()).value(), std::nullopt);
}

class OpenEntryTest : public HubFolderTest {
 protected:
  std::string content(std::string_view name) {
    auto const opened = folder().open_entry(commit(), path(name));
    if (!opened) return std::string(to_string(opened.error().code));
    std::string text(opened->size_bytes, '\0');
    EXPECT_EQ(::pread(opened->file.get(), text.data(), text.size(), 0),
              static_cast<ssize_t>(text.size()));
    return text;
  }
};

TEST_F(OpenEntryTest, OpensLinkedPlainAndSharedContent) {
  BlobName const blob = put("linked");
  ASSERT_TRUE(link("deep/down/a", blob));
  write("snapshots/" + commit().text() + "/plain", "plain");
  std::string const payload(64, 'a');
  dir_.write("root/hub/blobs/aa/" + payload, "shared");
  symlink("../../blobs/aa/" + payload, repo() / "blobs" / sha_name("shared").text());
  ASSERT_TRUE(link("shared", sha_name("shared")));
  EXPECT_EQ(content("deep/down/a"), "linked");
  EXPECT_EQ(content("plain"), "plain");
  EXPECT_EQ(content("shared"), "shared");
  EXPECT_EQ(folder().open_entry(commit(), path("deep/down/a"))->blob, blob);
}

TEST_F(OpenEntryTest, NothingOutsideTheCacheIsEverOpened) {
  auto const secret = dir_.write("secret", "secret");
  ASSERT_TRUE(link("ok", put("x")));
  symlink(secret.string(), entry("absolute"));
  symlink("../../../../../secret", entry("relative"));
  symlink("ok", entry("sideways"));
  fs::create_directory_symlink(dir_.path(), entry("folder"));
  symlink(secret.string(), repo() / "blobs" / std::string(40, '1'));
  symlink("../../blobs/" + std::string(40, '1'), entry("two-hops"));
  symlink("../../blobs/../refs", repo() / "blobs" / std::string(40, '2'));
  symlink("../../blobs/" + std::string(40, '2'), entry("store-lookalike"));
  for (auto const* name :
       {"absolute", "relative", "sideways", "folder/secret", "two-hops", "store-lookalike"})
    EXPECT_EQ(content(name), "failed_precondition") << name;
}

TEST_F(OpenEntryTest, MissingAndDanglingEntriesAreNotFound) {
  symlink("../../blobs/" + std::string(40, '0'), entry("dangling"));
  EXPECT_EQ(content("dangling"), "not_found");
  EXPECT_EQ(content("none"), "not_found");
  EXPECT_EQ(content("none/at/all"), "not_found");
}

}  // namespace
}  // namespace homelab::cache
