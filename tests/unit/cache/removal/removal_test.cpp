// Removal on real folders: what goes, what stays, and what comes back.
#include "cache/removal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>

#include "../scan_fixture.h"
#include "base/os/file_lock.h"
#include "cache/trash.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

class RemovalTest : public ScanFixture {
 protected:
  /// Every file and link of the hub folder outside .locks, with its content or target.
  [[nodiscard]] std::map<std::string, std::string> content() const {
    std::map<std::string, std::string> out;
    for (auto it = fs::recursive_directory_iterator(hub()); it != fs::end(it); ++it) {
      std::string const path = it->path().lexically_relative(hub()).string();
      if (path == ".locks") {
        it.disable_recursion_pending();
      } else if (it->is_symlink()) {
        out[path] = "-> " + fs::read_symlink(it->path()).string();
      } else if (it->is_regular_file()) {
        out[path] = test::slurp(it->path());
      }
    }
    return out;
  }

  void ref(std::string const& name, char commit) const {
    write(repo() / "refs" / name, hex(commit));
  }

  RemovalPlan plan_of(Proposal const& proposal) const {
    return plan_removal(scan(), proposal, {}, look_up(hub(), "models--org--name"), false);
  }
  RemovalPlan plan_rm(std::string const& target) const {
    auto const proposal = propose_rm(scan(), RemovalTarget::parse(target).value());
    if (!proposal) throw std::runtime_error(proposal.error().message);
    return plan_of(*proposal);
  }
  RemovalReport run(RemovalPlan const& plan, bool use_trash = true) const {
    auto const report = execute_removal(plan, {use_trash, "test", {}});
    if (!report) throw std::runtime_error(report.error().message);
    return *report;
  }
  RemovalReport rm(std::string const& target, bool use_trash = true) const {
    return run(plan_rm(target), use_trash);
  }
  [[nodiscard]] std::uint64_t blocks(Path const& below) const {
    return look_up(dir_.path(), "").use(below.lexically_relative(dir_.path()).string()).own_bytes;
  }
  [[nodiscard]] bool trash_is_empty() const { return list_trash(hub()).value().empty(); }
  void expect_no_dangling() const {
    for (auto const& revision : scan().revisions)
      for (auto const& entry : revision.entries)
        EXPECT_EQ(entry.state, EntryFacts::State::kLink) << entry.path;
  }

  /// Two revisions that share one file; main names the newer.
  void fill() const {
    put("config.json", "{}", 'a');
    put("model.gguf", "old weights", 'a');
    put("config.json", "{}", 'b');
    put("sub/dir/model.gguf", "new weights", 'b');
    ref("main", 'b');
    ref("feat/nested", 'a');
    write(repo() / "trees" / (hex('a') + ".json"), "{}");
    write(repo() / ".no_exist" / hex('a') / "adapter.json", "");
  }
};

TEST_F(RemovalTest, ARevisionGoesWithEverythingOfItsOwnAndNothingElse) {
  fill();
  auto const report = rm("org/name@feat/nested");
  EXPECT_TRUE(report.skipped.empty());
  auto const left = content();
  EXPECT_EQ(left.size(), 5U) << "two blobs, two links, one ref";
  EXPECT_FALSE(fs::exists(repo() / "refs/feat")) << "an empty folder of a nested ref goes, too";
  EXPECT_TRUE(fs::exists(snapshot('b') / "sub/dir/model.gguf"));
  expect_no_dangling();
}

TEST_F(RemovalTest, UndoBringsBackEveryByte) {
  fill();
  auto const before = content();
  for (std::string const target :
       {"org/name", "org/name@main", "org/name:config.json", "org/name@feat/nested"}) {
    auto const report = rm(target);
    EXPECT_NE(content(), before) << target;
    auto const back = restore_trash(hub(), report.trash_id);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(content(), before) << target;
    EXPECT_TRUE(trash_is_empty());
  }
}

TEST_F(RemovalTest, AWholeRepositoryLeavesNothingEvenOfUnknownFiles) {
  fill();
  write(repo() / "snapshots" / hex('a') / "by-hand.txt", "plain");
  write(repo() / ".DS_Store", "x");
  auto const before = content();
  auto const planned = plan_rm("org/name");
  std::uint64_t const blocks_before = blocks(repo());
  auto const report = run(planned);
  EXPECT_FALSE(fs::exists(repo()));
  EXPECT_EQ(report.freed_bytes, planned.frees_bytes());
  EXPECT_EQ(report.freed_bytes, blocks_before) << "to the block, as du would say";
  ASSERT_TRUE(restore_trash(hub(), report.trash_id));
  EXPECT_EQ(content(), before);
}

TEST_F(RemovalTest, WithoutTheTrashTheSpaceIsFreeAtOnce) {
  fill();
  auto const report = rm("org/name", false);
  EXPECT_TRUE(report.trash_id.empty());
  EXPECT_TRUE(trash_is_empty());
  EXPECT_FALSE(fs::exists(repo()));
}

TEST_F(RemovalTest, ABlobUnderAForeignLockStaysAndIsReported) {
  fill();
  Path const lock_file = hub() / ".locks/models--org--name" / (sha256_hex("old weights") + ".lock");
  fs::create_directories(lock_file.parent_path());
  auto const held = os::FileLock::try_take(lock_file);
  ASSERT_TRUE(held && *held);
  auto const report = rm("org/name@feat/nested");
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_NE(report.skipped[0].why.find("right now"), std::string::npos);
  EXPECT_TRUE(fs::exists(repo() / "blobs" / sha256_hex("old weights")));
  EXPECT_FALSE(fs::exists(snapshot('a')));
}

TEST_F(RemovalTest, ABlobThatGotAUserSinceThePlanStays) {
  fill();
  auto const planned = plan_rm("org/name@feat/nested");
  symlink("../../blobs/" + sha256_hex("old weights"), snapshot('b') / "again.gguf");
  auto const report = run(planned);
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_EQ(report.skipped[0].why, "a revision uses it now");
  expect_no_dangling();
}

TEST_F(RemovalTest, ARefThatMovedSinceThePlanAndItsNewRevisionStay) {
  fill();
  auto const planned = plan_rm("org/name@main");
  ref("main", 'a');
  auto const report = run(planned);
  EXPECT_EQ(test::slurp(repo() / "refs/main"), hex('a'));
  EXPECT_TRUE(fs::exists(snapshot('a') / "model.gguf"));
  ASSERT_EQ(report.skipped.size(), 1U);
  expect_no_dangling();
}

TEST_F(RemovalTest, ASnapshotThatGotARefSinceThePlanStays) {
  fill();
  fs::remove(repo() / "refs/feat/nested");
  auto const planned = plan_of(propose_prune(scan(), 0));
  ref("v1", 'a');
  auto const report = run(planned);
  EXPECT_TRUE(fs::exists(snapshot('a') / "model.gguf"));
  EXPECT_TRUE(fs::exists(repo() / "trees" / (hex('a') + ".json")));
  expect_no_dangling();
}

TEST_F(RemovalTest, LinksOutOfTheRepositoryAreRemovedNotFollowed) {
  fill();
  Path const precious = dir_.write("outside/precious.bin", "precious");
  symlink(precious.string(), snapshot('a') / "out.bin");
  symlink("../../../../../outside/precious.bin", snapshot('a') / "sub/out.bin");
  symlink((dir_ / "outside").string(), snapshot('a') / "folder");
  symlink(precious.string(), repo() / "blobs" / hex('9'));
  symlink((dir_ / "outside").string(), repo() / "blobs/folder.incomplete");
  rm("org/name:out.bin");
  EXPECT_EQ(test::slurp(precious), "precious");
  rm("org/name", false);
  EXPECT_FALSE(fs::exists(repo()));
  EXPECT_EQ(test::slurp(precious), "precious");
}

TEST_F(RemovalTest, AFolderReplacedByALinkIsNotEntered) {
  fill();
  auto const planned = plan_rm("org/name@feat/nested");
  fs::rename(repo() / "blobs", dir_ / "elsewhere");
  symlink((dir_ / "elsewhere").string(), repo() / "blobs");
  auto const report = run(planned);
  EXPECT_FALSE(report.skipped.empty());
  EXPECT_TRUE(fs::exists(dir_ / "elsewhere" / sha256_hex("old weights")));
}

TEST_F(RemovalTest, AnIncompleteLookKeepsEveryBlob) {
  fill();
  auto const planned = plan_rm("org/name@feat/nested");
  // A folder that is a link: readers follow it, we do not, so what it shows may need any blob.
  fs::rename(repo() / "snapshots" / hex('b') / "sub", dir_ / "sub");
  symlink((dir_ / "sub").string(), snapshot('b') / "sub");
  fs::rename(repo() / "snapshots", dir_ / "snapshots");
  symlink((dir_ / "snapshots").string(), repo() / "snapshots");
  run(planned);
  EXPECT_TRUE(fs::exists(repo() / "blobs" / sha256_hex("old weights")));
}

TEST_F(RemovalTest, AHardLinkElsewhereFreesNothing) {
  fill();
  Path const blob = repo() / "blobs" / sha256_hex("old weights");
  fs::create_hard_link(blob, dir_ / "other");
  auto const planned = plan_rm("org/name@feat/nested");
  for (auto const& item : planned.items) {
    if (item.kind == RemovalKind::kBlob) {
      EXPECT_EQ(item.frees_bytes, 0U);
    }
  }
  run(planned, false);
  EXPECT_EQ(test::slurp(dir_ / "other"), "old weights");
}

// --- garbage -----------------------------------------------------------------------------------

TEST_F(RemovalTest, GarbageGoesAndARunningDownloadStays) {
  fill();
  write(repo() / "blobs" / sha256_hex("orphan"), "orphan");
  write(repo() / "blobs" / (hex('1') + ".incomplete"), "dead");
  write(repo() / "blobs" / (hex('2') + ".homelab.part"), "dead part");
  write(repo() / "refs/main.0123abcd.tmp", "");
  GcRules const rules{
      .now_ns = std::int64_t{1} << 62, .older_than_ns = 0, .own_partials_older_than_ns = 0};
  auto const planned = plan_of(propose_gc(scan(), look_up(hub(), "models--org--name"), rules));
  // Begins after the plan was made.
  os::UniqueFd const part(
      ::open((repo() / "blobs" / (hex('2') + ".homelab.part")).c_str(), O_RDWR));
  ASSERT_EQ(::flock(part.get(), LOCK_EX | LOCK_NB), 0);
  auto const report = run(planned, false);
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_TRUE(report.skipped[0].path.ends_with(".homelab.part"));
  EXPECT_FALSE(fs::exists(repo() / "blobs" / sha256_hex("orphan")));
  EXPECT_FALSE(fs::exists(repo() / "blobs" / (hex('1') + ".incomplete")));
  EXPECT_FALSE(fs::exists(repo() / "refs/main.0123abcd.tmp"));
  expect_no_dangling();
}

TEST_F(RemovalTest, AnEmptyShellGoesButNotWhenSomethingCameIntoIt) {
  write(repo() / "refs/main", hex('a'));
  fs::create_directories(repo() / "blobs");
  GcRules const rules{.now_ns = std::int64_t{1} << 62};
  auto const planned = plan_of(propose_gc(scan(), look_up(hub(), "models--org--name"), rules));
  write(repo() / "blobs/new.homelab.part", "x");
  auto const report = run(planned);
  EXPECT_TRUE(fs::exists(repo() / "blobs/new.homelab.part"));
  EXPECT_EQ(report.skipped.size(), 1U);
  fs::remove(repo() / "blobs/new.homelab.part");
  run(plan_of(propose_gc(scan(), look_up(hub(), "models--org--name"), rules)));
  EXPECT_FALSE(fs::exists(repo()));
}

// --- shared store ------------------------------------------------------------------------------

class StoreRemovalTest : public RemovalTest {
 protected:
  StoreRemovalTest() {
    write(hub() / "blobs/.huggingface-shared-blobs", "1\n");
    write(payload(), "weights");
    share("models--org--name", 'c');
  }
  [[nodiscard]] Path payload() const { return hub() / "blobs/dd" / hex('d', 64); }
  [[nodiscard]] Path manifest() const { return payload().string() + ".refs"; }
  void share(std::string const& repo_name, char commit) const {
    Path const folder = hub() / repo_name;
    symlink("../../blobs/dd/" + hex('d', 64), folder / "blobs" / hex('e', 64));
    symlink("../../blobs/" + hex('e', 64), folder / "snapshots" / hex(commit) / "model.gguf");
    std::ofstream(manifest(), std::ios::app) << repo_name << "/blobs/" << hex('e', 64) << "\n";
  }
};

TEST_F(StoreRemovalTest, APayloadStaysWhileAnotherRepositoryUsesIt) {
  share("models--org--two", 'a');
  rm("org/name");
  EXPECT_EQ(test::slurp(hub() / "models--org--two/snapshots" / hex('a') / "model.gguf"), "weights");
  EXPECT_EQ(test::slurp(manifest()), "models--org--two/blobs/" + hex('e', 64) + "\n")
      << "the line of the gone repository is taken out";
}

TEST_F(StoreRemovalTest, TheLastReferenceTakesThePayloadAndUndoBringsItBack) {
  auto const report = rm("org/name");
  EXPECT_TRUE(report.skipped.empty());
  EXPECT_FALSE(fs::exists(payload()));
  EXPECT_FALSE(fs::exists(manifest()));
  ASSERT_TRUE(restore_trash(hub(), report.trash_id));
  EXPECT_EQ(test::slurp(snapshot() / "model.gguf"), "weights");
  EXPECT_EQ(test::slurp(manifest()), "models--org--name/blobs/" + hex('e', 64) + "\n");
}

TEST_F(StoreRemovalTest, AUserThatCameSinceThePlanKeepsThePayload) {
  auto const planned = plan_rm("org/name");
  share("models--org--two", 'a');
  auto const report = run(planned);
  EXPECT_TRUE(fs::exists(payload()));
  EXPECT_EQ(report.skipped.back().path.substr(0, 6), "models") << "and so does the folder";
}

TEST_F(StoreRemovalTest, WithoutAManifestOrMarkerThePayloadStays) {
  fs::remove(manifest());
  rm("org/name");
  EXPECT_TRUE(fs::exists(payload()));
}

TEST_F(StoreRemovalTest, AHeldStoreLockKeepsThePayload) {
  auto const held = os::FileLock::try_take(payload().string() + ".lock");
  ASSERT_TRUE(held && *held);
  auto const report = rm("org/name@" + hex('c'));
  EXPECT_TRUE(fs::exists(payload()));
  EXPECT_EQ(report.skipped.size(), 1U);
}

TEST_F(StoreRemovalTest, UndoIsRefusedWhenThePayloadIsGone) {
  share("models--org--two", 'a');
  auto const first = rm("org/name");
  auto const two = scan_repo(hub() / "models--org--two").value();
  Proposal everything;
  everything.wish.everything = true;
  auto const second =
      run(plan_removal(two, everything, {}, look_up(hub(), "models--org--two"), false));
  EXPECT_FALSE(fs::exists(payload()));
  auto const before = content();
  EXPECT_EQ(restore_trash(hub(), first.trash_id).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(content(), before);
  ASSERT_TRUE(restore_trash(hub(), second.trash_id));
  ASSERT_TRUE(restore_trash(hub(), first.trash_id));
  EXPECT_EQ(test::slurp(snapshot() / "model.gguf"), "weights");
}

// --- trash -------------------------------------------------------------------------------------

TEST_F(RemovalTest, TheTrashIsListedOldestFirstWithItsSize) {
  fill();
  auto const first = rm("org/name:model.gguf");
  auto const second = rm("org/name@main");
  auto const records = list_trash(hub()).value();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].id, first.trash_id);
  EXPECT_EQ(records[1].id, second.trash_id);
  EXPECT_EQ(records[0].items, 2U);
  EXPECT_EQ(records[0].reason, "test");
  EXPECT_GE(records[0].disk_bytes, first.freed_bytes);
  EXPECT_TRUE(records[0].restorable);
}

TEST_F(RemovalTest, UndoRefusesWhenSomethingStandsThereNow) {
  fill();
  auto const report = rm("org/name@main");
  put("other", "other", 'b');
  auto const before = content();
  auto const back = restore_trash(hub(), report.trash_id);
  EXPECT_EQ(back.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(content(), before);
  fs::remove_all(snapshot('b'));
  ref("main", 'a');
  EXPECT_EQ(restore_trash(hub(), report.trash_id).error().code, Code::kFailedPrecondition)
      << "main moved on";
  ref("main", 'b');
  EXPECT_TRUE(restore_trash(hub(), report.trash_id));
}

TEST_F(RemovalTest, UndoNeverShowsARevisionWhoseContentALaterRemovalTook) {
  fill();
  auto const before = content();
  RemovalReport first;
  {
    Path const lock = hub() / ".locks/models--org--name" / (sha256_hex("old weights") + ".lock");
    fs::create_directories(lock.parent_path());
    auto const held = os::FileLock::try_take(lock);
    ASSERT_TRUE(held && *held);
    first = rm("org/name@feat/nested");
  }
  GcRules const rules{.now_ns = std::int64_t{1} << 62};
  auto const second = run(plan_of(propose_gc(scan(), look_up(hub(), "models--org--name"), rules)));
  auto const between = content();
  auto const refused = restore_trash(hub(), first.trash_id);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find(second.trash_id), std::string::npos);
  EXPECT_EQ(content(), between);
  ASSERT_TRUE(restore_trash(hub(), second.trash_id));
  ASSERT_TRUE(restore_trash(hub(), first.trash_id));
  EXPECT_EQ(content(), before);
}

TEST_F(RemovalTest, UndoIsFineWithBlobsThatCameBack) {
  fill();
  auto const before = content();
  auto const report = rm("org/name@main");
  write(repo() / "blobs" / sha256_hex("new weights"), "new weights");
  ASSERT_TRUE(restore_trash(hub(), report.trash_id));
  EXPECT_EQ(content(), before);
}

TEST_F(RemovalTest, TheTrashIsEmptiedByAgeByNameAndUntilThereIsSpace) {
  fill();
  auto const one = rm("org/name:model.gguf");
  auto const two = rm("org/name@main");
  EXPECT_TRUE(empty_trash_older_than(hub(), std::chrono::hours(1)).value().ids.empty());
  EXPECT_TRUE(empty_trash_until(hub(), 1).value().ids.empty()) << "there is a byte free already";
  EXPECT_EQ(empty_trash(hub(), one.trash_id).value().ids.size(), 1U);
  EXPECT_EQ(empty_trash(hub(), one.trash_id).error().code, Code::kNotFound);
  EXPECT_EQ(empty_trash_until(hub(), ~std::uint64_t{0}).value().ids,
            std::vector<std::string>{two.trash_id});
  EXPECT_TRUE(trash_is_empty());
}

TEST_F(RemovalTest, ARecordWithoutManifestIsOnlyEmptied) {
  fill();
  fs::create_directories(hub() / ".locks/.homelab-llm/trash/20000101T000000Z-0000");
  auto const records = list_trash(hub()).value();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_FALSE(records[0].restorable);
  EXPECT_EQ(restore_trash(hub(), records[0].id).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(restore_trash(hub(), "../../x").error().code, Code::kInvalidArgument);
  EXPECT_EQ(empty_trash_older_than(hub(), std::chrono::seconds(0)).value().ids.size(), 1U);
}

TEST_F(RemovalTest, AManifestCannotLeadOutsideTheRepository) {
  fill();
  auto const report = rm("org/name@main");
  Path const folder = hub() / ".locks/.homelab-llm/trash" / report.trash_id;
  for (std::string const path : {"../x", "models--org--name/refs/../../x", "/etc/passwd",
                                 ".locks/x", "models--org--name/blobs/a/b", "CACHEDIR.TAG"}) {
    write(folder / "manifest.json", to_manifest_json({1, "x", {{RemovalKind::kBlob, path}}}));
    EXPECT_EQ(restore_trash(hub(), report.trash_id).error().code, Code::kDataLoss) << path;
  }
  // A link in the way is not followed either.
  write(folder / "manifest.json",
        to_manifest_json({1, "x", {{RemovalKind::kRef, "models--org--name/refs/main"}}}));
  fs::remove_all(repo() / "refs");
  fs::create_directories(dir_ / "outside");
  symlink((dir_ / "outside").string(), repo() / "refs");
  EXPECT_FALSE(restore_trash(hub(), report.trash_id));
  EXPECT_TRUE(fs::is_empty(dir_ / "outside"));
}

TEST(TrashManifest, ReadsBackWhatItWroteWithAnyBytes) {
  TrashManifest const manifest{
      12345,
      "cache rm org/name: \xff\n\"x\"",
      {{RemovalKind::kRef, "models--a--b/refs/feat/x"},
       {RemovalKind::kEntry,
        "models--a--b/snapshots/" + std::string(40, 'a') + "/sp ace/\xff\n%2F"},
       {RemovalKind::kPayload, "blobs/ab/ab" + std::string(62, '0')},
       {RemovalKind::kFolder, "datasets--x"}}};
  auto const again = parse_manifest_json(to_manifest_json(manifest));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, manifest);
  for (std::string const bad : {"", "{}", "[]", R"({"format_version":2})",
                                R"({"format_version":1,"created_ns":1,"reason":"","items":[1]})",
                                R"({"format_version":1,"created_ns":1,"reason":"%zz","items":[]})"})
    EXPECT_EQ(parse_manifest_json(bad).error().code, Code::kDataLoss) << bad;
}

}  // namespace
}  // namespace homelab::cache
