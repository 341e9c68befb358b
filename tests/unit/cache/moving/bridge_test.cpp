#include "cache/bridge.h"

#include <sys/stat.h>

#include "../hub_fixture.h"
#include "base/os/file_lock.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;
using Action = BridgedRepo::Action;

constexpr char const* kFolder = "models--org--name";

class BridgeTest : public ::testing::Test {
 protected:
  BridgeTest() { fs::create_directories(root()); }
  [[nodiscard]] Path root() const { return dir_ / "hf"; }
  [[nodiscard]] Path hub() const { return root() / "hub"; }

  /// A repository with one file in a hub folder; gives its blob.
  Path put(Path const& at, std::string_view content = "content", char commit = 'c') {
    auto const id = RepoId::parse("org/name").value();
    auto const writer = RepoWriter::open(at, id).value();
    auto const name = sha_name(content);
    auto const hash = CommitHash::parse(std::string(40, commit)).value();
    RepoWriter::Link const link{RepoPath::parse("model.gguf").value(), name};
    EXPECT_TRUE(writer.put_blob(name, bytes_of(content)));
    EXPECT_TRUE(writer.link_all(hash, std::span(&link, 1)));
    EXPECT_TRUE(writer.write_ref(Revision::main(), hash));
    return writer.folder().blob_path(name);
  }
  BridgeReport bridge(BridgeOptions const& options = {}) {
    auto report = bridge_root(root(), options);
    if (!report) throw std::runtime_error(report.error().message);
    return *std::move(report);
  }
  static std::string read(Path const& at, char commit = 'c') {
    return test::slurp(at / kFolder / "snapshots" / std::string(40, commit) / "model.gguf");
  }
  test::TempDir dir_;
};

TEST_F(BridgeTest, TellsThatThereIsNoRootAndDoesNotMakeOne) {
  EXPECT_EQ(bridge_root(dir_ / "none", {}).error().code, Code::kNotFound);
  EXPECT_FALSE(fs::exists(dir_ / "none"));
}

TEST_F(BridgeTest, AnEmptyRootIsBridgedSoThatLaterDownloadsShareLocks) {
  EXPECT_TRUE(bridge().complete());
  EXPECT_TRUE(is_bridged(root()));
  EXPECT_EQ(fs::read_symlink(root() / "blobs"), "hub/blobs");
}

TEST_F(BridgeTest, TwoCopiesBecomeOneFile) {
  put(root());
  auto const blob = put(hub());
  auto const report = bridge();
  ASSERT_EQ(report.repos.size(), 1U);
  EXPECT_EQ(report.repos[0].action, Action::kMerged);
  EXPECT_GT(report.saved_bytes(), 0U);
  struct stat found{};
  ASSERT_EQ(::lstat(blob.c_str(), &found), 0);
  EXPECT_EQ(found.st_nlink, 1U);
  EXPECT_EQ(read(root()), "content");
}

TEST_F(BridgeTest, ADamagedCopyNeverReplacesTheRightOne) {
  auto const mine = put(root());
  auto const theirs = put(hub());
  std::ofstream(mine, std::ios::trunc) << "CONTENT";
  bridge();
  EXPECT_EQ(read(hub()), "content");
  EXPECT_TRUE(fs::exists(theirs));
}

TEST_F(BridgeTest, KeepsBothWhenBothAreDamaged) {
  auto const mine = put(root());
  auto const theirs = put(hub());
  std::ofstream(mine, std::ios::trunc) << "one";
  std::ofstream(theirs, std::ios::trunc) << "two";
  auto const report = bridge();
  EXPECT_EQ(report.repos[0].action, Action::kLeft);
  EXPECT_EQ(test::slurp(mine), "one");
  EXPECT_EQ(test::slurp(theirs), "two");
}

TEST_F(BridgeTest, LeavesWhatIsNoRepositoryFolderAndFollowsNothing) {
  put(root());
  put(hub());
  dir_.write("outside", "not ours");
  ASSERT_EQ(::mkfifo((root() / kFolder / "blobs/pipe").c_str(), 0600), 0);
  EXPECT_EQ(bridge().repos[0].action, Action::kLeft);
  fs::remove(root() / kFolder / "blobs/pipe");
  fs::create_symlink(dir_ / "outside", root() / kFolder / "blobs" / std::string(64, 'a'));
  EXPECT_EQ(bridge().repos[0].action, Action::kLeft);
  fs::remove(root() / kFolder / "blobs" / std::string(64, 'a'));
  fs::remove_all(root() / kFolder / "refs");
  fs::create_directory_symlink(dir_.path(), root() / kFolder / "refs");
  EXPECT_EQ(bridge().repos[0].action, Action::kLeft);
  EXPECT_EQ(test::slurp(dir_ / "outside"), "not ours");
  EXPECT_EQ(read(hub()), "content");
}

TEST_F(BridgeTest, LeavesLinksOfTheUsersOwn) {
  fs::create_directories(dir_ / "elsewhere");
  fs::create_directory_symlink(dir_ / "elsewhere", root() / kFolder);
  auto const report = bridge();
  EXPECT_EQ(report.repos[0].action, Action::kLeft);
  EXPECT_EQ(fs::read_symlink(root() / kFolder), dir_ / "elsewhere");
  EXPECT_TRUE(unbridge_root(root(), {}));
  EXPECT_TRUE(fs::is_symlink(root() / kFolder)) << "undo takes only our own links";
}

TEST_F(BridgeTest, TakesAwayALinkWhoseRepositoryWasDeleted) {
  put(hub());
  bridge();
  fs::remove_all(hub() / kFolder);
  EXPECT_EQ(bridge().repos[0].action, Action::kUnlinked);
  EXPECT_FALSE(fs::is_symlink(root() / kFolder));
}

TEST_F(BridgeTest, KeepBridgedFollowsDownloadsAndDeletions) {
  bridge();
  put(hub());
  ASSERT_TRUE(keep_bridged(root(), kFolder));
  EXPECT_EQ(read(root()), "content");
  ASSERT_TRUE(keep_bridged(root(), kFolder));
  fs::remove_all(hub() / kFolder);
  ASSERT_TRUE(keep_bridged(root(), kFolder));
  EXPECT_FALSE(fs::is_symlink(root() / kFolder));
  ASSERT_TRUE(keep_bridged(root(), "../outside"));
}

TEST_F(BridgeTest, KeepBridgedLeavesARootThatIsNotBridged) {
  put(hub());
  ASSERT_TRUE(keep_bridged(root(), kFolder));
  EXPECT_FALSE(fs::exists(root() / kFolder));
}

TEST_F(BridgeTest, LeavesARepositoryThatIsBeingDownloaded) {
  auto const blob = put(root());
  fs::create_directories(root() / ".locks" / kFolder);
  auto const held =
      os::FileLock::try_take(root() / ".locks" / kFolder / (blob.filename().string() + ".lock"));
  ASSERT_TRUE(held && *held);
  auto const report = bridge();
  EXPECT_FALSE(report.complete());
  EXPECT_EQ(report.repos[0].action, Action::kLeft);
  EXPECT_FALSE(is_bridged(root()));
}

TEST_F(BridgeTest, StopsWhenToldTo) {
  put(root());
  BridgeOptions options;
  options.stop = [] { return true; };
  EXPECT_EQ(bridge_root(root(), options).error().code, Code::kCancelled);
  EXPECT_EQ(read(root()), "content");
}

TEST_F(BridgeTest, TakesAlongADownloadThatCanBeContinued) {
  put(root());
  put(hub(), "other", 'd');
  std::string const part = std::string(64, 'b') + ".homelab.part";
  std::ofstream(root() / kFolder / "blobs" / part) << "half";
  std::ofstream(root() / kFolder / "blobs" / (std::string(64, 'b') + ".0123abcd.incomplete"))
      << "x";
  bridge();
  EXPECT_EQ(test::slurp(hub() / kFolder / "blobs" / part), "half");
  EXPECT_FALSE(
      fs::exists(hub() / kFolder / "blobs" / (std::string(64, 'b') + ".0123abcd.incomplete")));
}

}  // namespace
}  // namespace homelab::cache
