#include "cache/dedup.h"

#include <sys/stat.h>

#include "../scan_fixture.h"
#include "base/os/file_lock.h"
#include "cache/usage.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

class DedupTest : public ScanFixture {
 protected:
  DedupTest() : content_(300'000, 'x'), name_(sha256_hex(content_)) {}

  [[nodiscard]] Path blob(std::string const& repo) const { return hub() / repo / "blobs" / name_; }
  /// A repository with the content under its hash.
  Path make(std::string const& repo) const {
    write(blob(repo), content_);
    symlink("../../blobs/" + name_, hub() / repo / "snapshots" / hex('c') / "file");
    return blob(repo);
  }
  static ino_t inode(Path const& path) {
    struct stat found{};
    if (::lstat(path.c_str(), &found) != 0) throw std::runtime_error("no " + path.string());
    return found.st_ino;
  }
  [[nodiscard]] DedupReport run(DedupOptions const& options = {}) const {
    auto result = dedup({hub()}, options);
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
  }
  [[nodiscard]] std::size_t files_in_blobs(std::string const& repo) const {
    auto const folder = fs::directory_iterator(hub() / repo / "blobs");
    return static_cast<std::size_t>(std::distance(fs::begin(folder), fs::end(folder)));
  }

  std::string content_;
  std::string name_;
};

TEST_F(DedupTest, EqualBlobsOfSeveralRepositoriesShareTheirBlocks) {
  for (auto const* repo : {"models--a", "models--b", "datasets--c"}) make(repo);
  auto const before = measure({hub()});
  auto const report = run();
  auto const after = measure({hub()});
  ASSERT_EQ(report.shared.size(), 2U);
  EXPECT_TRUE(report.skipped.empty());
  EXPECT_EQ(report.disk_bytes_before, before->disk_bytes);
  EXPECT_EQ(report.disk_bytes_before - report.disk_bytes_after,
            report.shared[0].freed_bytes + report.shared[1].freed_bytes);
  EXPECT_GE(report.shared[0].freed_bytes, content_.size());
  if (report.shared[0].how == SharedBlob::How::kHardLink) {
    EXPECT_EQ(report.disk_bytes_after, after->disk_bytes);
    EXPECT_EQ(inode(blob("models--a")), inode(blob("models--b")));
    EXPECT_EQ(inode(blob("models--a")), inode(blob("datasets--c")));
  }
  for (auto const* repo : {"models--a", "models--b", "datasets--c"}) {
    EXPECT_EQ(test::slurp(hub() / repo / "snapshots" / hex('c') / "file"), content_);
    EXPECT_EQ(files_in_blobs(repo), 1U) << "nothing temporary stays";
  }
  EXPECT_TRUE(run().shared.empty()) << "a second run finds nothing to do";
}

TEST_F(DedupTest, ADryRunSaysTheSameAndChangesNothing) {
  make("models--a");
  make("models--b");
  auto const old = inode(blob("models--b"));
  auto const planned = run({.dry_run = true, .stop = {}, .progress = {}});
  ASSERT_EQ(planned.shared.size(), 1U);
  EXPECT_EQ(planned.shared[0].how, SharedBlob::How::kNotYet);
  EXPECT_EQ(inode(blob("models--b")), old);
  EXPECT_FALSE(fs::exists(hub() / ".locks"));
  auto const done = run();
  EXPECT_EQ(done.disk_bytes_after, planned.disk_bytes_after);
  EXPECT_EQ(done.shared[0].path, planned.shared[0].path);
}

TEST_F(DedupTest, ContentThatIsNotWhatItsNameSaysIsLeftAloneAndReported) {
  make("models--a");
  make("models--b");
  std::string wrong = content_;
  wrong[7] = '!';
  write(blob("models--a"), wrong);
  auto const report = run();
  EXPECT_TRUE(report.shared.empty());
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_EQ(report.skipped[0].path, blob("models--a"));
  EXPECT_EQ(test::slurp(blob("models--a")), wrong);
  EXPECT_EQ(test::slurp(blob("models--b")), content_);
}

TEST_F(DedupTest, ABlobThatSomebodyWorksOnIsSkipped) {
  make("models--a");
  make("models--b");
  Path const lock = hub() / ".locks/models--b" / (name_ + ".lock");
  fs::create_directories(lock.parent_path());
  auto const held = os::FileLock::try_take(lock);
  ASSERT_TRUE(held && *held);
  auto const report = run();
  EXPECT_TRUE(report.shared.empty());
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_NE(inode(blob("models--a")), inode(blob("models--b")));
}

TEST_F(DedupTest, DifferentModesStayDifferent) {
  make("models--a");
  make("models--b");
  make("models--c");
  for (auto const* repo : {"models--b", "models--c"})
    fs::permissions(blob(repo), fs::perms::owner_read | fs::perms::owner_write);
  auto const planned = run({.dry_run = true, .stop = {}, .progress = {}});
  auto const report = run();
  auto const mode = [&](std::string const& repo) { return fs::status(blob(repo)).permissions(); };
  EXPECT_EQ(mode("models--b"), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(mode("models--c"), mode("models--b"));
  EXPECT_NE(mode("models--a"), mode("models--b"));
  if (report.shared.at(0).how == SharedBlob::How::kHardLink) {
    EXPECT_EQ(inode(blob("models--b")), inode(blob("models--c")));
    EXPECT_EQ(report.skipped.size(), 1U);
    EXPECT_EQ(planned.shared.size(), report.shared.size());
  }
}

TEST_F(DedupTest, AFileWithAnotherNameInItsSnapshotIsTheOneThatStays) {
  make("models--a");
  make("models--b");
  fs::create_hard_link(blob("models--b"), hub() / "models--b/snapshots" / hex('c') / "plain");
  auto const kept = inode(blob("models--b"));
  ASSERT_EQ(run().shared.size(), 1U);
  EXPECT_EQ(inode(blob("models--b")), kept);
  EXPECT_EQ(inode(hub() / "models--b/snapshots" / hex('c') / "plain"), kept);
}

TEST_F(DedupTest, TwoFilesWithFurtherNamesElsewhereAreLeftAlone) {
  for (std::string const repo : {"models--a", "models--b"}) {
    make(repo);
    fs::create_hard_link(blob(repo), dir_ / (repo + ".copy"));
  }
  auto const report = run();
  EXPECT_TRUE(report.shared.empty());
  EXPECT_EQ(report.skipped.size(), 1U);
}

TEST_F(DedupTest, OnlyFullHashesOfOwnBlobsCount) {
  std::string const git = hex('1');
  std::string const stored = "ab" + hex('0', 62);
  write(hub() / "blobs/ab" / stored, content_);
  for (std::string const repo : {"models--a", "models--b"}) {
    write(hub() / repo / "blobs" / git, "x");
    write(hub() / repo / "blobs" / sha256_hex(""), "");
    write(hub() / repo / "blobs" / (hex('2', 64) + ".incomplete"), "x");
    symlink("../../blobs/ab/" + stored, blob(repo));
  }
  auto const report = run();
  EXPECT_TRUE(report.shared.empty());
  EXPECT_TRUE(report.skipped.empty());
  EXPECT_NE(inode(hub() / "models--a/blobs" / git), inode(hub() / "models--b/blobs" / git));
  EXPECT_TRUE(fs::is_symlink(blob("models--a")));
}

TEST_F(DedupTest, ItEndsWhenToldTo) {
  make("models--a");
  make("models--b");
  auto const report = run({.dry_run = false, .stop = [] { return true; }, .progress = {}});
  EXPECT_TRUE(report.stopped);
  EXPECT_TRUE(report.shared.empty());
}

TEST_F(DedupTest, ALinkedBlobsFolderIsNotFollowed) {
  make("models--a");
  make("models--b");
  fs::rename(hub() / "models--b/blobs", dir_ / "outside");
  symlink((dir_ / "outside").string(), hub() / "models--b/blobs");
  auto const old = inode(dir_ / "outside" / name_);
  EXPECT_TRUE(run().shared.empty());
  EXPECT_EQ(inode(dir_ / "outside" / name_), old);
}

}  // namespace
}  // namespace homelab::cache
