#include "cache/scan.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>

#include "../scan_fixture.h"
#include "base/os/file_lock.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;
using State = EntryFacts::State;

class ScanTest : public ScanFixture {};

TEST_F(ScanTest, ARepositoryShowsItsFilesOnceAndWhoRefersToThem) {
  put("config.json", "{}");
  put("sub/deep/weights.bin", "weights");
  put("again.bin", "weights", 'd');
  write(repo() / "refs/main", hex('c'));
  write(repo() / "refs/refs/pr/1", hex('d'));
  write(repo() / "refs/v1", hex('c'));
  auto const found = scan();
  EXPECT_EQ(found.type, RepoType::kModel);
  EXPECT_EQ(found.id, "org/name");
  EXPECT_TRUE(found.complete);
  EXPECT_TRUE(found.problems.empty()) << found.problems[0].what;
  ASSERT_EQ(found.revisions.size(), 2U);
  EXPECT_EQ(found.revisions[0].refs, (std::vector<std::string>{"main", "v1"}));
  EXPECT_EQ(found.revisions[1].refs, (std::vector<std::string>{"refs/pr/1"}));
  ASSERT_EQ(found.blobs.size(), 2U);
  EXPECT_LT(found.blobs[0].name, found.blobs[1].name);
  EXPECT_EQ(found.size_bytes(), 2U + 7U);
  auto const* deep = entry(found, "sub/deep/weights.bin");
  ASSERT_NE(deep, nullptr);
  EXPECT_EQ(deep->state, State::kLink);
  EXPECT_EQ(deep->size_bytes, 7U);
  ASSERT_TRUE(deep->blob);
  EXPECT_EQ(found.blobs[*deep->blob].name, sha256_hex("weights"));
  EXPECT_EQ(found.blobs[*deep->blob].entries, 2U);
  EXPECT_GT(found.last_used_ns(), 0);
}

TEST_F(ScanTest, EveryTypeOfRepositoryIsListedInOrder) {
  for (auto const* name :
       {"spaces--s", "models--org--name", "kernels--k--k", "datasets--d--x", "models--a--b--c"})
    fs::create_directories(hub() / name / "snapshots");
  std::vector<std::string> seen;
  auto const done = scan_hub(hub(), [&](RepoScan&& repo) -> Status {
    seen.push_back(std::string(to_string(repo.type)) + " " + repo.id);
    return {};
  });
  ASSERT_TRUE(done);
  EXPECT_EQ(seen, (std::vector<std::string>{"dataset d/x", "kernel k/k", "model a/b/c",
                                            "model org/name", "space s"}));
  EXPECT_TRUE(done->problems.empty());
}

TEST_F(ScanTest, ManyRepositoriesComeInOrderAndAnErrorEndsThem) {
  constexpr int kRepos = 200;
  for (int i = 0; i < kRepos; ++i)
    write(hub() / ("models--r" + std::to_string(1000 + i)) / "blobs" / hex('1'),
          std::string(static_cast<std::size_t>(i), 'x'));
  std::size_t next = 0;
  auto const all = scan_hub(hub(), [&](RepoScan&& repo) -> Status {
    EXPECT_EQ(repo.id, "r" + std::to_string(1000 + next));
    EXPECT_EQ(repo.size_bytes(), next);
    ++next;
    return {};
  });
  ASSERT_TRUE(all);
  EXPECT_EQ(next, kRepos);
  next = 0;
  auto const some = scan_hub(hub(), [&](RepoScan&&) -> Status {
    return ++next == 50 ? Status(fail(Code::kCancelled, "enough")) : Status();
  });
  EXPECT_EQ(some.error().code, Code::kCancelled);
  EXPECT_EQ(next, 50U);
}

TEST_F(ScanTest, WhatIsNoRepositoryIsReportedAndWhatBelongsThereIsNot) {
  for (auto const* name : {".locks/x", "CACHEDIR.TAG", ".DS_Store", "models--", "stray.txt",
                           "things--a--b/x", "models--file", "models--Twin/x", "models--twin/x"})
    write(hub() / name, "");
  symlink("models--Twin", hub() / "models--link");
  std::size_t repos = 0;
  auto const done = scan_hub(hub(), [&](RepoScan&&) -> Status {
    ++repos;
    return {};
  });
  ASSERT_TRUE(done);
  EXPECT_EQ(repos, 2U);
  EXPECT_EQ(done->links, (std::vector<Path>{hub() / "models--link"}));
  EXPECT_EQ(done->problems.size(), 5U);
  for (auto const* name : {"models--", "stray.txt", "things--a--b", "models--file"})
    EXPECT_EQ(problem(done->problems, hub() / name), "is no folder of a repository") << name;
  EXPECT_NE(problem(done->problems, hub() / "models--twin"), "");
}

TEST_F(ScanTest, TheVisitorEndsTheScanAndAMissingFolderIsNotFound) {
  fs::create_directories(repo());
  fs::create_directories(hub() / "models--z");
  std::size_t calls = 0;
  auto const done = scan_hub(hub(), [&](RepoScan&&) -> Status {
    ++calls;
    return fail(Code::kCancelled, "enough");
  });
  EXPECT_EQ(done.error().code, Code::kCancelled);
  EXPECT_EQ(calls, 1U);
  EXPECT_EQ(scan_hub(dir_ / "none", [](RepoScan&&) -> Status { return {}; }).error().code,
            Code::kNotFound);
  EXPECT_EQ(scan_repo(hub() / "models--none").error().code, Code::kNotFound);
  EXPECT_EQ(scan_repo(hub() / "blobs").error().code, Code::kInvalidArgument);
}

TEST_F(ScanTest, ARepositoryIsAlsoReadThroughALinkWithItsName) {
  put("a", "content");
  symlink(repo().string(), dir_ / "models--org--name");
  auto const found = scan_repo(dir_ / "models--org--name");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->size_bytes(), 7U);
  EXPECT_TRUE(scan_repo((repo() / "").string()));
}

TEST_F(ScanTest, ContentInTheSharedStoreIsTwoHopsAwayAndNotInTheRepositorysOwnBlocks) {
  std::string const hash = "ab" + hex('0', 62);
  write(hub() / "blobs" / ".huggingface-shared-blobs", "1\n");
  write(hub() / "blobs/ab" / hash, std::string(5000, 'x'));
  write(hub() / "blobs/ab" / (hash + ".refs"), "models--org--name/blobs/x\n");
  symlink("../../blobs/ab/" + hash, repo() / "blobs" / hex('1', 64));
  symlink((hub() / "blobs/ab" / hash).string(), repo() / "blobs" / hex('2', 64));
  symlink("../../blobs/" + hex('1', 64), snapshot() / "a");
  symlink("../../blobs/" + hex('2', 64), snapshot() / "b");
  HubScan hub_scan;
  RepoScan found;
  auto const done = scan_hub(hub(), [&](RepoScan&& repo) -> Status {
    found = std::move(repo);
    return {};
  });
  ASSERT_TRUE(done);
  EXPECT_TRUE(found.problems.empty()) << found.problems[0].what;
  ASSERT_EQ(found.blobs.size(), 2U);
  EXPECT_TRUE(found.blobs[0].in_shared_store);
  EXPECT_EQ(found.blobs[0].identity, found.blobs[1].identity);
  EXPECT_EQ(found.size_bytes(), 5000U) << "two names, one payload";
  EXPECT_EQ(entry(found, "a")->size_bytes, 5000U);
  EXPECT_EQ(found.own_disk_bytes(), found.other_disk_bytes + found.link_disk_bytes);
  EXPECT_EQ(done->store_payloads, 1U);
  EXPECT_EQ(done->store_size_bytes, 5000U);
  EXPECT_GE(done->store_disk_bytes, 5000U);
  EXPECT_TRUE(done->problems.empty());
}

TEST_F(ScanTest, AStoreWithoutItsMarkerIsReported) {
  fs::create_directories(hub() / "blobs/ab");
  auto const done = scan_hub(hub(), [](RepoScan&&) -> Status { return {}; });
  ASSERT_TRUE(done);
  EXPECT_NE(problem(done->problems, hub() / "blobs"), "");
}

TEST_F(ScanTest, BrokenLinksOfBlobsAreReportedAndTheirFilesMissing) {
  symlink("../../blobs/ab/ab" + hex('0', 62), repo() / "blobs" / hex('1', 64));
  symlink("/etc/hostname", repo() / "blobs" / hex('2', 64));
  symlink("../../blobs/" + hex('1', 64), snapshot() / "lost");
  symlink("../../blobs/" + hex('2', 64), snapshot() / "planted");
  auto const found = scan();
  EXPECT_TRUE(found.blobs.empty());
  EXPECT_EQ(entry(found, "lost")->state, State::kDangling);
  EXPECT_EQ(entry(found, "planted")->state, State::kOutside);
  EXPECT_NE(problem(found.problems, repo() / "blobs" / hex('1', 64)), "");
  EXPECT_NE(problem(found.problems, repo() / "blobs" / hex('2', 64)), "");
}

TEST_F(ScanTest, AStoreShelfThatIsALinkIsNotFollowed) {
  std::string const hash = "ab" + hex('0', 62);
  write(dir_ / "elsewhere" / hash, "secret");
  fs::create_directories(hub() / "blobs");
  symlink((dir_ / "elsewhere").string(), hub() / "blobs/ab");
  symlink("../../blobs/ab/" + hash, repo() / "blobs" / hex('1', 64));
  symlink("../../blobs/" + hex('1', 64), snapshot() / "a");
  auto const found = scan();
  EXPECT_TRUE(found.blobs.empty());
  EXPECT_EQ(entry(found, "a")->state, State::kDangling);
}

TEST_F(ScanTest, MissingContentIsDanglingAndSaidOncePerRevision) {
  put("here", "x");
  for (auto const* name : {"a", "b", "sub/c"})
    symlink(std::string(name).find('/') == std::string::npos ? "../../blobs/" + hex('0')
                                                             : "../../../blobs/" + hex('0'),
            snapshot() / name);
  auto const found = scan();
  EXPECT_EQ(entry(found, "a")->state, State::kDangling);
  EXPECT_EQ(entry(found, "sub/c")->state, State::kDangling);
  EXPECT_EQ(entry(found, "a")->blob, std::nullopt);
  ASSERT_EQ(found.problems.size(), 1U);
  EXPECT_EQ(found.problems[0].path, snapshot());
  EXPECT_NE(found.problems[0].what.find("3 of 4 files"), std::string::npos);
  EXPECT_TRUE(found.complete);
}

TEST_F(ScanTest, LinksToAnywhereElseAreOutsideHoweverTheyAreWritten) {
  put("good", "x");
  std::string const name = sha256_hex("x");
  symlink("/etc/passwd", snapshot() / "absolute");
  symlink("../../../../../../etc/passwd", snapshot() / "escaping");
  symlink("../../../blobs/" + name, snapshot() / "one-too-high");
  symlink("../../blobs/../refs/main", snapshot() / "beside");
  symlink("../../blobs", snapshot() / "folder");
  symlink("good", snapshot() / "sibling");
  symlink("loop", snapshot() / "loop");
  symlink("../../../models--org--name/blobs/" + name, snapshot() / "around");
  symlink("./../../blobs//" + name, snapshot() / "odd");
  symlink((repo() / "blobs" / name).string(), snapshot() / "own-absolute");
  auto const found = scan();
  for (auto const* path :
       {"absolute", "escaping", "one-too-high", "beside", "folder", "sibling", "loop"}) {
    EXPECT_EQ(entry(found, path)->state, State::kOutside) << path;
    EXPECT_NE(problem(found.problems, snapshot() / path), "") << path;
  }
  for (auto const* path : {"good", "around", "odd", "own-absolute"})
    EXPECT_EQ(entry(found, path)->state, State::kLink) << path;
  ASSERT_EQ(found.blobs.size(), 1U);
  EXPECT_EQ(found.blobs[0].entries, 4U);
}

TEST_F(ScanTest, AbsoluteLinksAreUnderstoodWhenTheCacheIsReachedThroughALink) {
  put("a", "x");
  symlink((repo() / "blobs" / sha256_hex("x")).string(), snapshot() / "b");
  symlink(hub().string(), dir_ / "other-name");
  auto const found = scan_repo(dir_ / "other-name/models--org--name");
  ASSERT_TRUE(found);
  EXPECT_EQ(entry(*found, "b")->state, State::kLink);
}

TEST_F(ScanTest, RegularFilesInSnapshotsCountAsThemselvesAndHardLinksOfBlobsAsTheirBlob) {
  put("linked", "blob content");
  write(snapshot() / "plain", "plain");
  fs::create_hard_link(snapshot() / "plain", snapshot() / "plain-again");
  fs::create_hard_link(repo() / "blobs" / sha256_hex("blob content"), snapshot() / "hard");
  auto const found = scan();
  EXPECT_EQ(entry(found, "plain")->state, State::kFile);
  EXPECT_EQ(entry(found, "plain")->blob, std::nullopt);
  EXPECT_EQ(entry(found, "hard")->state, State::kFile);
  EXPECT_EQ(entry(found, "hard")->blob, 0U);
  EXPECT_EQ(found.blobs[0].entries, 2U);
  EXPECT_EQ(found.blobs[0].names, 2U);
  EXPECT_EQ(found.size_bytes(), 12U + 5U);
  EXPECT_EQ(found.hard_linked.size(), 2U);
  EXPECT_TRUE(found.problems.empty());
}

TEST_F(ScanTest, ACacheWithoutLinksHasNoBlobsAndNoProblems) {
  write(snapshot() / "sub/plain", "12345");
  fs::create_directories(repo() / "blobs");
  auto const found = scan();
  EXPECT_EQ(found.size_bytes(), 5U);
  EXPECT_GT(found.last_used_ns(), 0);
  EXPECT_TRUE(found.problems.empty());
}

TEST_F(ScanTest, BlobsThatNoSnapshotNeedsHaveNoEntries) {
  put("a", "used");
  write(repo() / "blobs" / sha256_hex("left"), "left");
  write(repo() / "blobs/5d41402abc-12", "multipart etag");
  auto const found = scan();
  ASSERT_EQ(found.blobs.size(), 3U);
  for (auto const& blob : found.blobs) {
    EXPECT_EQ(blob.entries, blob.name == sha256_hex("used") ? 1U : 0U) << blob.name;
    EXPECT_EQ(blob.hash().has_value(), blob.name != "5d41402abc-12") << blob.name;
  }
}

TEST_F(ScanTest, AFolderThatIsNoCommitStillNeedsItsBlobs) {
  put("a", "x");
  fs::rename(snapshot(), repo() / "snapshots/not-a-commit");
  auto const found = scan();
  EXPECT_TRUE(found.revisions.empty());
  EXPECT_EQ(found.blobs.at(0).entries, 1U);
  EXPECT_NE(problem(found.problems, repo() / "snapshots/not-a-commit"), "");
}

TEST_F(ScanTest, RefsAreReadWithTheirFaultsNamed) {
  put("a", "x");
  write(repo() / "refs/main", hex('c'));
  write(repo() / "refs/feat/nested", hex('c') + "\n");
  write(repo() / "refs/gone", hex('9'));
  write(repo() / "refs/empty", "");
  write(repo() / "refs/words", "not a commit");
  write(repo() / "refs/huge", std::string(100'000, 'c'));
  write(repo() / "refs/bad\nname", hex('c'));
  write(repo() / "refs/main.1234abcd.tmp", hex('c'));
  symlink("main", repo() / "refs/link");
  pipe(repo() / "refs/pipe");
  auto const found = scan();
  EXPECT_EQ(found.revisions.at(0).refs, (std::vector<std::string>{"feat/nested", "main"}));
  EXPECT_EQ(found.dangling_refs, (std::map<std::string, std::string>{{"gone", hex('9')}}));
  for (auto const* name :
       {"feat/nested", "gone", "empty", "words", "huge", "bad\nname", "link", "pipe"})
    EXPECT_NE(problem(found.problems, repo() / "refs" / name), "") << name;
  EXPECT_EQ(found.problems.size(), 8U);
  ASSERT_EQ(found.leftovers.size(), 1U);
  EXPECT_EQ(found.leftovers[0].kind, Leftover::Kind::kTemporary);
  EXPECT_EQ(found.leftovers[0].path, repo() / "refs/main.1234abcd.tmp");
}

TEST_F(ScanTest, ARefThatMayNameAnyRevisionMakesTheRefsUnclear) {
  put("f", "1");
  write(repo() / "refs/main", hex('c') + "\n");
  write(repo() / "refs/main.1234abcd.tmp", "");
  write(repo() / "refs/gone", hex('9'));
  EXPECT_TRUE(scan().refs_clear);
  for (auto const* name : {"empty", "words"}) {
    write(repo() / "refs" / name, name == std::string_view("empty") ? "" : "not a commit");
    EXPECT_FALSE(scan().refs_clear) << name;
    EXPECT_TRUE(scan().complete) << "the blobs are known nevertheless";
    std::filesystem::remove(repo() / "refs" / name);
  }
  symlink("main", repo() / "refs/link");
  EXPECT_FALSE(scan().refs_clear);
}

TEST_F(ScanTest, ARepositoryThatOnlyKnowsWhatDoesNotExistIsReported) {
  write(repo() / ".no_exist" / hex('c') / "chat_template.jinja", "");
  write(repo() / "refs/main", hex('c'));
  auto const found = scan();
  EXPECT_EQ(found.dangling_refs.size(), 1U);
  EXPECT_NE(problem(found.problems, repo()), "");
  EXPECT_EQ(found.size_bytes(), 0U);
  EXPECT_EQ(found.last_used_ns(), 0);
  EXPECT_TRUE(found.complete);
}

TEST_F(ScanTest, OwnBlocksAreThoseThatDuCounts) {
  put("config.json", "{}");
  put("sub/big", std::string(300'000, 'b'));
  put("sub/again", std::string(300'000, 'b'), 'd');
  write(snapshot() / "plain", std::string(9000, 'p'));
  fs::create_hard_link(snapshot() / "plain", snapshot('d') / "plain");
  write(repo() / "refs/main", hex('c'));
  write(repo() / "trees" / (hex('c') + ".json"), std::string(5000, ' '));
  write(repo() / ".no_exist" / hex('c') / "x", "");
  write(repo() / "blobs" / (hex('1') + ".incomplete"), std::string(70'000, 'i'));
  write(repo() / "refs/x.tmp", "left");
  write(repo() / "own/notes/of/somebody", std::string(5000, 'n'));
  std::string const command = "du -s --block-size=1 '" + repo().string() + "'";
  std::unique_ptr<FILE, int (*)(FILE*)> const du(::popen(command.c_str(), "r"), ::pclose);
  ASSERT_TRUE(du);
  unsigned long long expected = 0;
  ASSERT_EQ(std::fscanf(du.get(), "%llu", &expected), 1);
  EXPECT_EQ(scan().own_disk_bytes(), expected);
}

TEST_F(ScanTest, AScanForSizesReadsNoLinksAndConcludesNothing) {
  put("a", "content");
  put("sub/b", "more");
  write(snapshot() / "plain", "plain");
  symlink("/etc/passwd", snapshot() / "outside");
  write(repo() / "refs/main", hex('c'));
  auto const exact = scan();
  std::vector<RepoScan> found;
  auto const done = scan_hub(
      hub(),
      [&](RepoScan&& one) -> Status {
        found.push_back(std::move(one));
        return {};
      },
      ScanDepth::kSizes);
  ASSERT_TRUE(done);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_FALSE(found[0].complete);
  EXPECT_EQ(found[0].size_bytes(), exact.size_bytes());
  EXPECT_EQ(found[0].own_disk_bytes(), exact.own_disk_bytes() - exact.link_disk_bytes);
  EXPECT_EQ(found[0].revisions.at(0).files, 4U);
  EXPECT_EQ(exact.revisions.at(0).files, 4U);
  EXPECT_EQ(found[0].revisions.at(0).refs, exact.revisions.at(0).refs);
  EXPECT_TRUE(found[0].revisions.at(0).entries.empty());
  EXPECT_TRUE(found[0].problems.empty());
}

class ScanLeftoverTest : public ScanFixture {
 protected:
  Leftover leftover(std::string const& name) const {
    auto const found = scan();
    for (auto const& one : found.leftovers)
      if (one.path.filename() == name) return one;
    throw std::runtime_error("no leftover " + name);
  }
  Path part(std::string const& name) const { return repo() / "blobs" / name; }
};

TEST_F(ScanLeftoverTest, UnfinishedFilesAreToldApartAndAreNoBlobs) {
  std::string const name = hex('1', 64);
  write(part(name + ".homelab.part"), "own");
  write(part(name + ".homelab.0123abcd.part"), "own too");
  write(part(name + ".incomplete"), "old client");
  write(part(name + ".0123abcd.incomplete"), "new client");
  write(part(name + ".downloadInProgress"), "llama.cpp");
  write(part("tmp_8f3e"), "");
  symlink("../../blobs/ab/x", part("." + name + ".0123abcd.shared"));
  write(repo() / ".homelab-ref.part", "half");
  write(repo() / "trees/tmpabc", "half");
  write(snapshot() / "x", "");
  auto const found = scan();
  EXPECT_TRUE(found.blobs.empty());
  EXPECT_TRUE(found.problems.empty()) << found.problems[0].what;
  ASSERT_EQ(found.leftovers.size(), 9U);
  auto const count = [&](Leftover::Kind kind) {
    return std::ranges::count(found.leftovers, kind, &Leftover::kind);
  };
  EXPECT_EQ(count(Leftover::Kind::kOwnPartial), 2);
  EXPECT_EQ(count(Leftover::Kind::kForeignPartial), 3);
  EXPECT_EQ(count(Leftover::Kind::kTemporary), 4);
  EXPECT_TRUE(std::ranges::none_of(found.leftovers, &Leftover::live));
  EXPECT_TRUE(std::ranges::all_of(found.leftovers,
                                  [](Leftover const& one) { return one.modified_ns > 0; }));
}

TEST_F(ScanLeftoverTest, AnOwnPartialIsAliveWhileItIsLocked) {
  std::string const name = hex('1', 64) + ".homelab.part";
  write(part(name), "half");
  {
    os::UniqueFd const writer(::open(part(name).c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::flock(writer.get(), LOCK_EX | LOCK_NB), 0);
    EXPECT_TRUE(leftover(name).live);
  }
  EXPECT_FALSE(leftover(name).live);
  EXPECT_FALSE(fs::exists(hub() / ".locks")) << "asking must not create a lock file";
}

TEST_F(ScanLeftoverTest, AForeignPartialIsAliveWhileItsEtagLockIsHeld) {
  for (std::string const& name :
       {hex('1', 64) + ".incomplete", hex('1', 64) + ".0123abcd.incomplete",
        hex('1', 64) + ".homelab.part"}) {
    write(part(name), "half");
    fs::create_directories(hub() / ".locks/models--org--name");
    Path const lock_path = hub() / ".locks/models--org--name" / (hex('1', 64) + ".lock");
    {
      auto const lock = os::FileLock::try_take(lock_path);
      ASSERT_TRUE(lock && *lock);
      EXPECT_TRUE(leftover(name).live) << name;
    }
    EXPECT_FALSE(leftover(name).live) << name;
  }
}

TEST_F(ScanLeftoverTest, ALockThatIsAPipeIsNoLock) {
  write(part(hex('1', 64) + ".incomplete"), "half");
  pipe(hub() / ".locks/models--org--name" / (hex('1', 64) + ".lock"));
  EXPECT_FALSE(leftover(hex('1', 64) + ".incomplete").live);
}

TEST_F(ScanLeftoverTest, ALinkToALeftoverLeadsToNothing) {
  write(part(hex('1', 64) + ".incomplete"), "half");
  symlink("../../blobs/" + hex('1', 64) + ".incomplete", snapshot() / "a");
  EXPECT_EQ(entry(scan(), "a")->state, State::kDangling);
}

class CraftedCacheTest : public ScanFixture {};

TEST_F(CraftedCacheTest, PipesAreReportedAndNeverOpened) {
  pipe(repo() / "blobs" / hex('1'));
  pipe(repo() / "blobs" / (hex('2') + ".homelab.part"));
  pipe(snapshot() / "pipe");
  pipe(repo() / "snapshots/pipe");
  pipe(repo() / "trees/pipe");
  pipe(repo() / "pipe");
  pipe(hub() / "models--pipe");
  symlink("../../blobs/" + hex('1'), snapshot() / "to-pipe");
  auto const done = scan_hub(hub(), [&](RepoScan&& found) -> Status {
    EXPECT_TRUE(found.blobs.empty());
    EXPECT_NE(problem(found.problems, repo() / "blobs" / hex('1')), "");
    EXPECT_NE(problem(found.problems, snapshot() / "pipe"), "");
    EXPECT_NE(problem(found.problems, repo() / "snapshots/pipe"), "");
    EXPECT_EQ(entry(found, "pipe"), nullptr);
    EXPECT_EQ(entry(found, "to-pipe")->state, State::kDangling);
    return {};
  });
  ASSERT_TRUE(done);
  EXPECT_NE(problem(done->problems, hub() / "models--pipe"), "");
}

TEST_F(CraftedCacheTest, OddNamesAreKeptAsTheyAreAndReported) {
  put("new\nline", "1");
  put("bad\xff\xfeutf8", "2");
  put("a\\..\\b", "3");
  put("Gr\xc3\xb6\xc3\x9f"
      "e 1.bin",
      "4");
  put("a", "5");
  auto const found = scan();
  EXPECT_EQ(found.revisions.at(0).entries.size(), 5U);
  for (auto const* name : {"new\nline", "bad\xff\xfeutf8", "a\\..\\b"}) {
    EXPECT_EQ(entry(found, name)->state, State::kLink);
    EXPECT_NE(problem(found.problems, snapshot() / name), "") << name;
  }
  EXPECT_EQ(found.problems.size(), 3U);
}

TEST_F(CraftedCacheTest, LinkedFoldersAreNotFollowedAndNothingIsConcluded) {
  write(dir_ / "outside/secret", "secret");
  write(repo() / "blobs" / hex('1'), "x");
  symlink((dir_ / "outside").string(), repo() / "snapshots");
  auto found = scan();
  EXPECT_FALSE(found.complete) << "readers follow the link, so any blob may be needed";
  EXPECT_TRUE(found.revisions.empty());
  EXPECT_NE(problem(found.problems, repo() / "snapshots"), "");
  fs::remove(repo() / "snapshots");
  symlink((dir_ / "outside").string(), snapshot());
  found = scan();
  EXPECT_FALSE(found.complete);
  EXPECT_TRUE(found.revisions.empty());
  EXPECT_NE(problem(found.problems, snapshot()), "");
}

TEST_F(CraftedCacheTest, AFileWhereAFolderBelongsIsReported) {
  for (auto const* name : {"blobs", "snapshots", "refs", "trees"}) write(repo() / name, "x");
  auto const found = scan();
  for (auto const* name : {"blobs", "snapshots", "refs", "trees"})
    EXPECT_NE(problem(found.problems, repo() / name), "") << name;
  EXPECT_EQ(found.size_bytes(), 0U);
}

TEST_F(CraftedCacheTest, AFolderWhereABlobBelongsIsReportedAndItsFileMissing) {
  write(repo() / "blobs" / hex('1') / "inside", "x");
  symlink("../../blobs/" + hex('1'), snapshot() / "a");
  auto const found = scan();
  EXPECT_TRUE(found.blobs.empty());
  EXPECT_EQ(entry(found, "a")->state, State::kDangling);
  EXPECT_NE(problem(found.problems, repo() / "blobs" / hex('1')), "");
}

TEST_F(CraftedCacheTest, DeepFoldersEndSomewhereAndTheScanSaysThatItIsNotComplete) {
  Path deep = snapshot();
  for (int i = 0; i < 200; ++i) deep /= "d";
  fs::create_directories(deep);
  put("a", "x");
  auto const found = scan();
  EXPECT_FALSE(found.complete);
  EXPECT_EQ(found.problems.size(), 1U);
  EXPECT_EQ(entry(found, "a")->state, State::kLink);
}

/// Permissions do not hold root back, so root looks as somebody else.
class AsSomebodyElse {
 public:
  AsSomebodyElse() {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0 && ::seteuid(kNobody) == 0) changed_ = true;
  }
  ~AsSomebodyElse() {
    if (changed_ && ::seteuid(0) != 0) std::abort();
  }
  AsSomebodyElse(AsSomebodyElse const&) = delete;
  AsSomebodyElse& operator=(AsSomebodyElse const&) = delete;

 private:
  bool changed_ = false;
};

TEST_F(CraftedCacheTest, UnreadableFoldersAreReportedAndNothingIsConcluded) {
  put("a", "x");
  put("locked/b", "y");
  fs::permissions(dir_.path(), fs::perms(0755));
  fs::permissions(snapshot() / "locked", fs::perms::none);
  {
    AsSomebodyElse const reader;
    auto const found = scan();
    EXPECT_FALSE(found.complete);
    EXPECT_NE(problem(found.problems, snapshot() / "locked").find("Permission denied"),
              std::string::npos);
    EXPECT_EQ(entry(found, "a")->state, State::kLink);
    EXPECT_EQ(found.size_bytes(), 2U);
  }
  fs::permissions(repo(), fs::perms::none);
  {
    AsSomebodyElse const reader;
    std::size_t seen = 0;
    auto const done = scan_hub(hub(), [&](RepoScan&& found) -> Status {
      ++seen;
      EXPECT_FALSE(found.complete);
      EXPECT_NE(problem(found.problems, repo()), "");
      return {};
    });
    EXPECT_TRUE(done);
    EXPECT_EQ(seen, 1U);
  }
  fs::permissions(repo(), fs::perms(0755));
  fs::permissions(snapshot() / "locked", fs::perms(0755));
}

TEST_F(CraftedCacheTest, EmptyAndSparseBlobsHaveTheirApparentSizes) {
  put("empty", "");
  write(repo() / "blobs" / hex('7', 64), "");
  write(repo() / "blobs" / hex('8', 64), "");
  fs::resize_file(repo() / "blobs" / hex('8', 64), 1ULL << 40);
  auto const found = scan();
  ASSERT_EQ(found.blobs.size(), 3U);
  EXPECT_EQ(found.blobs[1].size_bytes, 1ULL << 40);
  EXPECT_LT(found.blobs[1].disk_bytes, 1U << 20);
  EXPECT_EQ(found.size_bytes(), 1ULL << 40);
  EXPECT_EQ(problem(found.problems, repo() / "blobs" / sha256_hex("")), "");
  EXPECT_NE(problem(found.problems, repo() / "blobs" / hex('7', 64)), "")
      << "a power cut leaves such files";
}

TEST_F(CraftedCacheTest, ProblemsAreBounded) {
  for (int i = 0; i < 1500; ++i) symlink("/", snapshot() / std::to_string(i));
  auto const found = scan();
  EXPECT_EQ(found.problems.size(), 1000U);
  EXPECT_EQ(found.revisions.at(0).entries.size(), 1500U);
}

}  // namespace
}  // namespace homelab::cache
