#include "cache/blob_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <span>
#include <thread>

#include "hub_fixture.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

class BlobWriterTest : public HubFixture {
 protected:
  [[nodiscard]] Path blob(BlobName const& name) const { return repo() / "blobs" / name.text(); }
  [[nodiscard]] Path part(BlobName const& name) const {
    return repo() / "blobs" / (name.text() + ".homelab.part");
  }
  [[nodiscard]] std::size_t blobs_entries() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(repo() / "blobs"), fs::directory_iterator()));
  }
};

TEST_F(BlobWriterTest, OpeningMakesTheFoldersAndTheCacheTagOnce) {
  EXPECT_TRUE(fs::is_directory(repo() / "blobs"));
  EXPECT_TRUE(fs::is_directory(hub() / ".locks/models--org--name"));
  EXPECT_EQ(fs::file_size(hub() / "CACHEDIR.TAG"), 191U);
  dir_.write("root/hub/CACHEDIR.TAG", "mine");
  ASSERT_TRUE(RepoWriter::open(hub(), repo_id()));
  EXPECT_EQ(test::slurp(hub() / "CACHEDIR.TAG"), "mine");
}

TEST_F(BlobWriterTest, ADownloadInPiecesBecomesABlobOnlyWhenItIsComplete) {
  std::string const content = "hello, blob world";
  BlobName const name = sha_name(content);
  auto partial = writer().open_partial(name, content.size());
  ASSERT_TRUE(partial) << why(partial);
  EXPECT_EQ(partial->expected_bytes(), content.size());
  ASSERT_TRUE(partial->append(bytes_of(content.substr(0, 5))));
  EXPECT_EQ(partial->written_bytes(), 5U);
  EXPECT_FALSE(fs::exists(blob(name)));
  EXPECT_FALSE(writer().has_blob(name, content.size()));
  ASSERT_TRUE(partial->append(bytes_of(content.substr(5))));
  ASSERT_TRUE(writer().commit(std::move(*partial)));
  EXPECT_EQ(test::slurp(blob(name)), content);
  EXPECT_TRUE(writer().has_blob(name, content.size()));
  EXPECT_FALSE(writer().has_blob(name, content.size() + 1));
  EXPECT_EQ(blobs_entries(), 1U);
}

TEST_F(BlobWriterTest, TheSpaceThatAPartialHoldsIsKnownWithoutOpeningIt) {
  std::string const content(256 * 1024, 'x');
  BlobName const name = sha_name(content);
  EXPECT_EQ(writer().partial_disk_bytes(name), 0U);
  {
    auto partial = writer().open_partial(name, content.size());
    ASSERT_TRUE(partial) << why(partial);
    ASSERT_TRUE(partial->append(std::as_bytes(std::span(content)).first(100 * 1024)));
  }
  EXPECT_GE(writer().partial_disk_bytes(name), 100U * 1024);
}

TEST_F(BlobWriterTest, GitBlobsAndEmptyFilesAreVerifiedToo) {
  std::string const empty_git = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
  auto partial = writer().open_partial(BlobName::parse(empty_git).value(), 0);
  ASSERT_TRUE(partial) << why(partial);
  EXPECT_TRUE(writer().commit(std::move(*partial)));
  EXPECT_EQ(fs::file_size(repo() / "blobs" / empty_git), 0U);
}

TEST_F(BlobWriterTest, AnAbandonedDownloadContinuesWhereItStopped) {
  std::string const content(3'000'000, 'q');
  BlobName const name = sha_name(content);
  {
    auto partial = writer().open_partial(name, content.size());
    ASSERT_TRUE(partial);
    ASSERT_TRUE(partial->append(bytes_of(content.substr(0, 2'000'000))));
  }
  EXPECT_EQ(fs::file_size(part(name)), 2'000'000U);
  auto again = writer().open_partial(name, content.size());
  ASSERT_TRUE(again) << why(again);
  EXPECT_EQ(again->written_bytes(), 2'000'000U);
  ASSERT_TRUE(again->append(bytes_of(content.substr(2'000'000))));
  ASSERT_TRUE(writer().commit(std::move(*again)));
  EXPECT_EQ(test::slurp(blob(name)), content);
  EXPECT_FALSE(fs::exists(part(name)));
}

TEST_F(BlobWriterTest, WrongContentNeverBecomesVisibleAndIsThrownAway) {
  BlobName const name = sha_name("right");
  auto partial = writer().open_partial(name, 5);
  ASSERT_TRUE(partial);
  ASSERT_TRUE(partial->append(bytes_of("wrong")));
  auto const done = writer().commit(std::move(*partial));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kDataLoss);
  EXPECT_EQ(blobs_entries(), 0U);
}

TEST_F(BlobWriterTest, DamageInAPartialIsFoundWhenItIsResumed) {
  std::string const content = "0123456789";
  BlobName const name = sha_name(content);
  dir_.write("root/hub/models--org--name/blobs/" + name.text() + ".homelab.part", "01X34");
  auto partial = writer().open_partial(name, content.size());
  ASSERT_TRUE(partial);
  ASSERT_EQ(partial->written_bytes(), 5U);
  ASSERT_TRUE(partial->append(bytes_of("56789")));
  EXPECT_EQ(writer().commit(std::move(*partial)).error().code, Code::kDataLoss);
  auto fresh = writer().open_partial(name, content.size());
  ASSERT_TRUE(fresh);
  EXPECT_EQ(fresh->written_bytes(), 0U);
}

TEST_F(BlobWriterTest, AnUnfinishedDownloadCannotBeCommittedAndStaysResumable) {
  BlobName const name = sha_name("12345678");
  auto partial = writer().open_partial(name, 8);
  ASSERT_TRUE(partial->append(bytes_of("1234")));
  EXPECT_EQ(writer().commit(std::move(*partial)).error().code, Code::kDataLoss);
  EXPECT_FALSE(fs::exists(blob(name)));
  EXPECT_EQ(writer().open_partial(name, 8)->written_bytes(), 4U);
}

TEST_F(BlobWriterTest, MoreBytesThanAnnouncedAreRefused) {
  BlobName const name = sha_name("1234");
  auto partial = writer().open_partial(name, 4);
  ASSERT_TRUE(partial->append(bytes_of("123")));
  EXPECT_EQ(partial->append(bytes_of("45")).error().code, Code::kDataLoss);
  EXPECT_EQ(partial->written_bytes(), 3U);
  ASSERT_TRUE(partial->append(bytes_of("4")));
  EXPECT_TRUE(writer().commit(std::move(*partial)));
}

TEST_F(BlobWriterTest, RestartForgetsEverything) {
  BlobName const name = sha_name("good");
  auto partial = writer().open_partial(name, 4);
  ASSERT_TRUE(partial->append(bytes_of("bad")));
  ASSERT_TRUE(partial->restart());
  EXPECT_EQ(partial->written_bytes(), 0U);
  ASSERT_TRUE(partial->append(bytes_of("good")));
  EXPECT_TRUE(writer().commit(std::move(*partial)));
  EXPECT_EQ(test::slurp(blob(name)), "good");
}

TEST_F(BlobWriterTest, APartialThatIsTooLongStartsOver) {
  BlobName const name = sha_name("ab");
  dir_.write("root/hub/models--org--name/blobs/" + name.text() + ".homelab.part", "far too long");
  EXPECT_EQ(writer().open_partial(name, 2)->written_bytes(), 0U);
}

TEST_F(BlobWriterTest, APartialIsWrittenByOneAtATime) {
  BlobName const name = sha_name("ab");
  auto first = writer().open_partial(name, 2);
  ASSERT_TRUE(first);
  auto const second = writer().open_partial(name, 2);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kAborted);
  {
    PartialBlob const gone = std::move(*first);
  }
  EXPECT_TRUE(writer().open_partial(name, 2));
}

TEST_F(BlobWriterTest, APlantedLinkInPlaceOfThePartialIsNotFollowed) {
  BlobName const name = sha_name("payload");
  auto const victim = dir_.write("victim", "precious");
  fs::create_symlink(victim, part(name));
  auto partial = writer().open_partial(name, 7);
  ASSERT_TRUE(partial) << why(partial);
  ASSERT_TRUE(partial->append(bytes_of("payload")));
  ASSERT_TRUE(writer().commit(std::move(*partial)));
  EXPECT_EQ(test::slurp(victim), "precious");
  EXPECT_FALSE(fs::is_symlink(blob(name)));
}

TEST_F(BlobWriterTest, AHardLinkInPlaceOfThePartialIsNotWrittenTo) {
  BlobName const name = sha_name("payload");
  auto const victim = dir_.write("victim", "precious");
  fs::create_hard_link(victim, part(name));
  EXPECT_EQ(writer().open_partial(name, 7)->written_bytes(), 0U);
  EXPECT_EQ(test::slurp(victim), "precious");
}

TEST_F(BlobWriterTest, ALinkedBlobsFolderIsRefusedByName) {
  fs::remove(repo() / "blobs");
  fs::create_directory(dir_ / "elsewhere");
  fs::create_directory_symlink(dir_ / "elsewhere", repo() / "blobs");
  auto const put = writer().put_blob(git_name("x"), bytes_of("x"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Code::kFailedPrecondition);
  EXPECT_NE(put.error().message.find("blobs"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(dir_ / "elsewhere"));
  EXPECT_EQ(RepoWriter::open(hub(), repo_id()).error().code, Code::kFailedPrecondition);
}

TEST_F(BlobWriterTest, TheHubFolderMayBeALink) {
  fs::create_directory_symlink(hub(), dir_ / "alias");
  auto const other = RepoWriter::open(dir_ / "alias", repo_id());
  ASSERT_TRUE(other) << why(other);
  ASSERT_TRUE(other->put_blob(git_name("x"), bytes_of("x")));
  EXPECT_TRUE(writer().has_blob(git_name("x"), 1));
}

TEST_F(BlobWriterTest, TooLittleSpaceIsSaidBeforeTheFirstByte) {
  BlobName const name = sha_name("huge");
  auto const partial = writer().open_partial(name, 1ULL << 60);
  ASSERT_FALSE(partial);
  EXPECT_EQ(partial.error().code, Code::kResourceExhausted);
  EXPECT_NE(partial.error().message.find("free"), std::string::npos);
  EXPECT_FALSE(fs::exists(part(name)));
}

TEST_F(BlobWriterTest, ReservedSpaceDoesNotCountAsContent) {
  BlobName const name = sha_name("x");
  auto const partial = writer().open_partial(name, 10'000'000);
  ASSERT_TRUE(partial) << why(partial);
  EXPECT_EQ(fs::file_size(part(name)), 0U);
}

TEST_F(BlobWriterTest, ABlobThatIsAlreadyThereIsKept) {
  BlobName const name = sha_name("same");
  auto partial = writer().open_partial(name, 4);
  ASSERT_TRUE(partial->append(bytes_of("same")));
  dir_.write("root/hub/models--org--name/blobs/" + name.text(), "same");
  struct stat before{};
  ASSERT_EQ(::stat(blob(name).c_str(), &before), 0);
  ASSERT_TRUE(writer().commit(std::move(*partial)));
  struct stat after{};
  ASSERT_EQ(::stat(blob(name).c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(blobs_entries(), 1U);
}

TEST_F(BlobWriterTest, ATruncatedBlobIsReplacedWithoutTouchingItsReaders) {
  BlobName const name = sha_name("complete");
  dir_.write("root/hub/models--org--name/blobs/" + name.text(), "comp");
  std::ifstream reader(blob(name));
  ASSERT_TRUE(writer().put_blob(name, bytes_of("complete")));
  EXPECT_EQ(test::slurp(blob(name)), "complete");
  std::string old;
  reader >> old;
  EXPECT_EQ(old, "comp");
}

TEST_F(BlobWriterTest, AStoreLinkOfTheRightSizeIsUsedAndAWrongOneReplacedByALocalFile) {
  std::string const content = "shared payload";
  BlobName const name = sha_name(content);
  auto const payload = dir_.write("root/hub/blobs/ab/" + std::string(64, 'a'), content);
  fs::create_symlink("../../blobs/ab/" + std::string(64, 'a'), blob(name));
  EXPECT_TRUE(writer().has_blob(name, content.size()));
  ASSERT_TRUE(writer().put_blob(name, bytes_of(content)));
  EXPECT_TRUE(fs::is_symlink(blob(name)));
  dir_.write("root/hub/blobs/ab/" + std::string(64, 'a'), "damaged");
  EXPECT_FALSE(writer().has_blob(name, content.size()));
  ASSERT_TRUE(writer().put_blob(name, bytes_of(content)));
  EXPECT_FALSE(fs::is_symlink(blob(name)));
  EXPECT_EQ(test::slurp(blob(name)), content);
  EXPECT_EQ(test::slurp(payload), "damaged");
}

TEST_F(BlobWriterTest, FoldersAndDanglingLinksAreNoBlobs) {
  BlobName const a = sha_name("a");
  BlobName const b = sha_name("b");
  fs::create_directory(blob(a));
  fs::create_symlink("nowhere", blob(b));
  EXPECT_FALSE(writer().has_blob(a, 0));
  EXPECT_FALSE(writer().has_blob(b, 1));
  EXPECT_FALSE(writer().put_blob(a, bytes_of("a")));
  EXPECT_TRUE(writer().put_blob(b, bytes_of("b")));
}

TEST_F(BlobWriterTest, ManySmallFilesGoInOneBatch) {
  std::vector<RepoWriter::SmallBlob> batch;
  for (int i = 0; i < 300; ++i) {
    std::string content = "file " + std::to_string(i % 290);  // ten of them twice
    batch.push_back({i % 2 == 0 ? git_name(content) : sha_name(content), content});
  }
  ASSERT_TRUE(writer().put_blobs(batch));
  for (auto const& one : batch) EXPECT_EQ(test::slurp(blob(one.name)), one.content);
  EXPECT_EQ(blobs_entries(), 290U);
}

TEST_F(BlobWriterTest, OneWrongFileInABatchKeepsAllOfItInvisible) {
  std::vector<RepoWriter::SmallBlob> const batch = {{git_name("a"), "a"}, {git_name("b"), "not b"}};
  auto const done = writer().put_blobs(batch);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kDataLoss);
  EXPECT_EQ(blobs_entries(), 0U);
}

TEST_F(BlobWriterTest, AFailingBatchLeavesNoPrivateFilesBehind) {
  fs::create_directory(blob(git_name("b")));
  std::vector<RepoWriter::SmallBlob> const batch = {{git_name("b"), "b"}, {git_name("a"), "a"}};
  EXPECT_FALSE(writer().put_blobs(batch));
  EXPECT_EQ(blobs_entries(), 1U);
}

TEST_F(BlobWriterTest, SmallFilesDoNotWaitForADownloadOfTheSameBlob) {
  BlobName const name = git_name("tiny");
  auto busy = writer().open_partial(name, 4);
  ASSERT_TRUE(busy);
  ASSERT_TRUE(writer().put_blob(name, bytes_of("tiny")));
  EXPECT_TRUE(writer().has_blob(name, 4));
  ASSERT_TRUE(busy->append(bytes_of("tiny")));
  EXPECT_TRUE(writer().commit(std::move(*busy)));
  EXPECT_EQ(blobs_entries(), 1U);
}

TEST_F(BlobWriterTest, BlobsFollowTheUmaskAndAreNotExecutable) {
  mode_t const old = ::umask(0027);
  auto const done = writer().put_blob(git_name("m"), bytes_of("m"));
  ::umask(old);
  ASSERT_TRUE(done);
  struct stat found{};
  ASSERT_EQ(::stat(blob(git_name("m")).c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0640U);
}

TEST_F(BlobWriterTest, TheEtagLockExcludesOthersAndWaitingCanBeGivenUp) {
  BlobName const name = sha_name("locked");
  auto const mine = writer().lock(name, nullptr);
  ASSERT_TRUE(mine) << why(mine);
  EXPECT_TRUE(fs::exists(hub() / ".locks/models--org--name" / (name.text() + ".lock")));
  int asked = 0;
  auto const theirs = writer().lock(name, [&] { return ++asked == 1; });
  ASSERT_FALSE(theirs);
  EXPECT_EQ(theirs.error().code, Code::kCancelled);
}

TEST_F(BlobWriterTest, ThreadsMayPutAndLinkTheSameAndDifferentBlobsAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kFiles = 20;
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::vector<RepoWriter::SmallBlob> batch;
      std::vector<RepoWriter::Link> links;
      for (int i = 0; i < kFiles; ++i) {
        std::string content = "file " + std::to_string(i % 2 == 0 ? i : i + 100 * t);
        BlobName const name = git_name(content);
        links.push_back({path("d/" + content), name});
        batch.push_back({name, std::move(content)});
      }
      bool const good = writer().put_blobs(batch) && writer().link_all(commit(), links) &&
                        writer().write_ref(Revision::main(), commit());
      if (!good) ++failures;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  auto const view = writer().folder().snapshot(commit());
  ASSERT_TRUE(view);
  EXPECT_EQ(view->files.size(), 10U + 4U * 10U);
  EXPECT_TRUE(view->dangling.empty());
  EXPECT_EQ(blobs_entries(), 50U);
}

TEST_F(BlobWriterTest, LockingSurvivesACleanedLockFolder) {
  fs::remove_all(hub() / ".locks");
  EXPECT_TRUE(writer().lock(sha_name("x"), nullptr));
}

}  // namespace
}  // namespace homelab::cache
