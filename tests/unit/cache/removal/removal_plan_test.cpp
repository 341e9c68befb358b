#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "cache/removal.h"

namespace homelab::cache {
namespace {

constexpr std::int64_t kHourNs = std::int64_t{3600} * 1'000'000'000;
constexpr std::int64_t kNowNs = 1000 * kHourNs;

CommitHash commit(char digit) { return CommitHash::parse(std::string(40, digit)).value(); }

/// A repository that stands nowhere: what the disk would say is written down here.
class PlanTest : public ::testing::Test {
 protected:
  PlanTest() {
    scan_.id = "org/name";
    scan_.folder = "/hub/models--org--name";
    facts_.use = [this](std::string const& path) {
      auto const found = uses_.find(path);
      return found == uses_.end() ? DiskUse{true, 0, {}, 0} : found->second;
    };
    facts_.payload = [this](std::string const& path) -> std::optional<StorePayload> {
      auto const found = payloads_.find(path);
      if (found == payloads_.end()) return std::nullopt;
      return found->second;
    };
  }

  /// A blob of `blocks` bytes; its place in the scan.
  std::size_t blob(std::string const& name, std::uint64_t blocks, std::int64_t modified_ns = 0) {
    BlobFacts facts;
    facts.name = name;
    facts.size_bytes = blocks - 96;
    facts.disk_bytes = blocks;
    facts.modified_ns = modified_ns;
    scan_.blobs.push_back(facts);
    uses_["models--org--name/blobs/" + name] = DiskUse{true, blocks, {}, modified_ns};
    return scan_.blobs.size() - 1;
  }

  void revision(char digit, std::vector<std::string> refs,
                std::map<std::string, std::size_t> const& files, std::int64_t modified_ns = 0) {
    RevisionFacts facts{commit(digit), std::move(refs), {}, files.size(), modified_ns};
    for (auto const& [path, index] : files) {
      EntryFacts entry;
      entry.path = path;
      entry.blob = index;
      facts.entries.push_back(entry);
      ++scan_.blobs.at(index).entries;
    }
    scan_.revisions.push_back(std::move(facts));
    uses_["models--org--name/snapshots/" + std::string(40, digit)] =
        DiskUse{true, 4096, {}, modified_ns};
  }

  RemovalPlan plan(Proposal const& proposal, std::vector<Need> const& needs = {},
                   bool force = false) {
    return plan_removal(scan_, proposal, needs, facts_, force);
  }
  RemovalPlan rm(std::string const& target, std::vector<Need> const& needs = {},
                 bool force = false) {
    auto const proposal = propose_rm(scan_, RemovalTarget::parse(target).value());
    if (!proposal) throw std::runtime_error(proposal.error().message);
    return plan(*proposal, needs, force);
  }
  static std::vector<std::string> paths(RemovalPlan const& plan) {
    std::vector<std::string> out;
    std::string const prefix = "models--org--name/";
    for (RemovalItem const& item : plan.items)
      out.push_back(item.path.starts_with(prefix) ? item.path.substr(prefix.size()) : item.path);
    return out;
  }
  static std::string why_kept(RemovalPlan const& plan, std::string const& path) {
    auto const found = std::ranges::find(plan.kept, "models--org--name/" + path, &Kept::path);
    return found == plan.kept.end() ? std::string() : found->why;
  }
  static Need needs(std::string why, std::optional<std::string> revision = std::nullopt,
                    std::optional<CommitHash> in_use = std::nullopt) {
    return {"/hub/models--org--name", std::move(revision), std::move(in_use), std::move(why)};
  }

  using Paths = std::vector<std::string>;
  RepoScan scan_;
  DiskFacts facts_;
  std::map<std::string, DiskUse> uses_;
  std::map<std::string, StorePayload> payloads_;
};

std::string snapshot(char digit) { return "snapshots/" + std::string(40, digit); }

TEST_F(PlanTest, ARevisionGoesWithTheBlobsThatNoOtherUses) {
  auto const shared = blob("shared", 8192);
  auto const old = blob("old", 1048576);
  auto const fresh = blob("fresh", 4096);
  revision('a', {}, {{"config.json", shared}, {"model", old}});
  revision('b', {"main"}, {{"config.json", shared}, {"model", fresh}});
  auto const out = rm("org/name@aaaaaaa");
  EXPECT_EQ(paths(out), (Paths{snapshot('a'), "blobs/old"}));
  EXPECT_EQ(out.frees_bytes(), 4096U + 1048576U);
}

TEST_F(PlanTest, RefsGoBeforeTheirSnapshotAndListingsAfterTheBlobs) {
  auto const one = blob("one", 4096);
  revision('a', {"main", "v1"}, {{"model", one}});
  facts_.listings = {std::string(40, 'a'), std::string(40, 'd')};
  auto const out = rm("org/name@" + std::string(40, 'a'));
  std::string const listing = std::string(40, 'a');
  EXPECT_EQ(paths(out), (Paths{"refs/main", "refs/v1", snapshot('a'), "blobs/one",
                               "trees/" + listing + ".json", ".no_exist/" + listing}));
  EXPECT_EQ(out.items.front().commit, listing);
}

TEST_F(PlanTest, ARefAloneGoesWhenAnotherNamesTheSameRevision) {
  auto const one = blob("one", 4096);
  revision('a', {"main", "v1"}, {{"model", one}});
  auto const out = rm("org/name@v1");
  EXPECT_EQ(paths(out), Paths{"refs/v1"});
  EXPECT_NE(why_kept(out, snapshot('a')).find("main"), std::string::npos);
}

TEST_F(PlanTest, AFileGoesFromEveryRevisionAndFreesItsBlobOnce) {
  auto const one = blob("one", 4096);
  auto const two = blob("two", 8192);
  revision('a', {}, {{"a.gguf", one}, {"b.gguf", two}});
  revision('b', {"main"}, {{"a.gguf", one}, {"copy.gguf", two}});
  auto const out = rm("org/name:a.gguf");
  EXPECT_EQ(paths(out), (Paths{snapshot('a') + "/a.gguf", snapshot('b') + "/a.gguf", "blobs/one"}));
  EXPECT_EQ(out.frees_bytes(), 4096U);
  EXPECT_EQ(paths(rm("org/name@main:copy.gguf")), Paths{snapshot('b') + "/copy.gguf"})
      << "the other revision still needs the blob";
}

TEST_F(PlanTest, WhatIsNotThereIsNotFoundAndAnAmbiguousCommitIsRefused) {
  revision('a', {"main"}, {});
  scan_.revisions.push_back(
      {CommitHash::parse("aaaaaaab" + std::string(32, '0')).value(), {}, {}, 0});
  auto const fails = [&](std::string const& target) {
    return propose_rm(scan_, RemovalTarget::parse(target).value()).error().code;
  };
  EXPECT_EQ(fails("org/name@v9"), Code::kNotFound);
  EXPECT_EQ(fails("org/name:none.gguf"), Code::kNotFound);
  EXPECT_EQ(fails("org/name@aaaaaaa"), Code::kInvalidArgument);
}

TEST_F(PlanTest, AHardLinkFreesNothingUntilItsLastNameGoes) {
  auto const one = blob("one", 4096);
  auto const two = blob("two", 4096);
  FileIdentity const same{1, 77};
  uses_["models--org--name/blobs/one"] = DiskUse{true, 0, {{same, 4096, 2}}, 0};
  uses_["models--org--name/blobs/two"] = DiskUse{true, 0, {{same, 4096, 2}}, 0};
  revision('a', {}, {{"m", one}});
  revision('b', {}, {{"m", two}});
  EXPECT_EQ(rm("org/name@aaaaaaa").frees_bytes(), 4096U) << "the snapshot's folder alone";
  auto const both = plan(propose_prune(scan_, 0));
  EXPECT_EQ(both.frees_bytes(), 3 * 4096U);
}

TEST_F(PlanTest, APayloadGoesOnlyWithItsLastReference) {
  auto const one = blob("one", 0 + 96);
  scan_.blobs[one].in_shared_store = true;
  std::string const payload = "blobs/ab/ab";
  uses_["models--org--name/blobs/one"] = DiskUse{true, 0, {}, 0};
  uses_[payload] = DiskUse{true, 65536, {}, 0};
  uses_[payload + ".refs"] = DiskUse{true, 4096, {}, 0};
  revision('a', {"main"}, {{"m", one}});

  payloads_["models--org--name/blobs/one"] =
      StorePayload{payload, std::set<std::string>{"models--org--name/blobs/one"}};
  auto const last = rm("org/name@main");
  EXPECT_EQ(paths(last), (Paths{"refs/main", snapshot('a'), "blobs/one", payload}));
  EXPECT_EQ(last.frees_bytes(), 4096U + 65536U + 4096U);

  payloads_["models--org--name/blobs/one"].references->insert("models--b/blobs/one");
  auto const shared = rm("org/name@main");
  EXPECT_EQ(paths(shared), (Paths{"refs/main", snapshot('a'), "blobs/one"}));
  EXPECT_EQ(shared.frees_bytes(), 4096U);
  EXPECT_EQ(shared.kept.back().why, "another repository uses it");

  payloads_["models--org--name/blobs/one"].references.reset();
  EXPECT_EQ(paths(rm("org/name@main")).size(), 3U) << "without a readable manifest it stays";
}

TEST_F(PlanTest, WhatARegistrationNeedsIsRefusedUnlessForced) {
  auto const one = blob("one", 4096);
  revision('a', {}, {{"m", one}});
  revision('b', {"main"}, {{"m", one}});
  std::vector<Need> const registered{needs("registered as 'smol'", "main")};
  auto const refused = rm("org/name@main", registered);
  EXPECT_TRUE(refused.items.empty());
  ASSERT_EQ(refused.refused.size(), 1U);
  EXPECT_EQ(refused.refused[0].why, "registered as 'smol'");
  EXPECT_TRUE(rm("org/name", registered).items.empty());
  EXPECT_FALSE(rm("org/name@aaaaaaa", registered).items.empty()) << "an older revision may go";
  auto const forced = rm("org/name@main", registered, true);
  EXPECT_EQ(paths(forced), (Paths{"refs/main", snapshot('b')}));
  EXPECT_NE(why_kept(forced, snapshot('b')).find("smol"), std::string::npos);
}

TEST_F(PlanTest, TheCommitInUseIsNeededEvenWithoutARef) {
  auto const one = blob("one", 4096);
  revision('a', {}, {{"m", one}});
  revision('b', {"main"}, {{"m", one}});
  auto const pruned = plan(propose_prune(scan_, 0), {needs("loaded", "main", commit('a'))});
  EXPECT_TRUE(pruned.items.empty());
  EXPECT_EQ(pruned.refused.size(), 1U);
}

TEST_F(PlanTest, ANeedThatNamesNoRevisionHereProtectsAll) {
  auto const one = blob("one", 4096);
  revision('a', {}, {{"m", one}});
  EXPECT_EQ(plan(propose_prune(scan_, 0), {needs("registered", "v7")}).refused.size(), 1U);
  Need const path{"/hub/models--org--name/" + snapshot('a') + "/m", {}, {}, "registered"};
  EXPECT_EQ(plan(propose_prune(scan_, 0), {path}).refused.size(), 1U);
  Need const elsewhere{"/hub/models--org--name2", {}, {}, "registered"};
  EXPECT_EQ(plan(propose_prune(scan_, 0), {elsewhere}).items.size(), 2U);
}

TEST_F(PlanTest, PruneKeepsTheNewestAndEveryRef) {
  auto const one = blob("one", 4096);
  revision('a', {}, {{"m", one}}, 10);
  revision('b', {}, {{"m", one}}, 30);
  revision('c', {"main"}, {{"m", one}}, 5);
  revision('d', {}, {{"m", one}}, 20);
  EXPECT_EQ(paths(plan(propose_prune(scan_, 0))),
            (Paths{snapshot('a'), snapshot('b'), snapshot('d')}));
  auto const two = plan(propose_prune(scan_, 2));
  EXPECT_EQ(paths(two), Paths{snapshot('a')});
  EXPECT_NE(why_kept(two, snapshot('b')).find("newest"), std::string::npos);
}

TEST_F(PlanTest, PruneKeepsEverythingWhileARefIsUnclear) {
  auto const one = blob("one", 4096);
  revision('a', {}, {{"m", one}});
  scan_.refs_clear = false;
  auto const kept = plan(propose_prune(scan_, 0));
  EXPECT_TRUE(kept.items.empty());
  EXPECT_NE(why_kept(kept, snapshot('a')).find("may name this revision"), std::string::npos);
}

TEST_F(PlanTest, GarbageIsWhatNobodyNeedsAndIsOldEnough) {
  auto const used = blob("used", 4096);
  blob("orphan", 8192, kNowNs - 25 * kHourNs);
  blob("young", 8192, kNowNs - 23 * kHourNs);
  revision('a', {"main"}, {{"m", used}});
  scan_.leftovers = {
      {Leftover::Kind::kForeignPartial, scan_.folder / "blobs/x.incomplete", 512, 0, false},
      {Leftover::Kind::kOwnPartial, scan_.folder / "blobs/y.homelab.part", 512,
       kNowNs - 6 * 24 * kHourNs, false},
      {Leftover::Kind::kTemporary, scan_.folder / "refs/main.1.tmp", 0, 0, false}};
  facts_.listings = {std::string(40, 'a'), std::string(40, 'd')};
  auto const out = plan(propose_gc(scan_, facts_, {.now_ns = kNowNs}));
  EXPECT_EQ(paths(out),
            (Paths{"blobs/orphan", "trees/" + std::string(40, 'd') + ".json",
                   ".no_exist/" + std::string(40, 'd'), "blobs/x.incomplete", "refs/main.1.tmp"}));
  EXPECT_FALSE(why_kept(out, "blobs/young").empty());
  EXPECT_NE(why_kept(out, "blobs/y.homelab.part").find("--partials"), std::string::npos);
}

TEST_F(PlanTest, NothingOfARunningDownloadIsGarbage) {
  blob("orphan", 8192);
  scan_.leftovers = {
      {Leftover::Kind::kOwnPartial, scan_.folder / "blobs/y.homelab.part", 512, 0, true}};
  scan_.dangling_refs = {{"main", std::string(40, 'e')}};
  auto const out = plan(propose_gc(
      scan_, facts_, {.now_ns = kNowNs, .older_than_ns = 0, .own_partials_older_than_ns = 0}));
  EXPECT_EQ(paths(out), Paths{});
  EXPECT_NE(why_kept(out, "blobs/orphan").find("downloaded right now"), std::string::npos);
  auto const whole = rm("org/name", {}, true);
  EXPECT_TRUE(whole.items.empty());
  EXPECT_EQ(whole.refused.size(), 1U);
}

TEST_F(PlanTest, AnEmptyShellGoesWithItsDanglingRefs) {
  scan_.dangling_refs = {{"main", std::string(40, 'e')}};
  auto const out = plan(propose_gc(scan_, facts_, {.now_ns = kNowNs}));
  EXPECT_EQ(paths(out), (Paths{"refs/main", "models--org--name"}));
  uses_["models--org--name/refs/main"] = DiskUse{true, 4096, {}, kNowNs - kHourNs};
  uses_["models--org--name/"] = DiskUse{true, 4096, {}, kNowNs - kHourNs};
  EXPECT_EQ(paths(plan(propose_gc(scan_, facts_, {.now_ns = kNowNs}))), Paths{})
      << "a download may just have begun";
}

TEST_F(PlanTest, WhatCouldNotBeReadKeepsEveryBlob) {
  auto const one = blob("one", 4096);
  blob("orphan", 4096);
  revision('a', {}, {{"m", one}});
  scan_.complete = false;
  EXPECT_EQ(paths(rm("org/name@aaaaaaa")), Paths{snapshot('a')});
  EXPECT_EQ(paths(plan(propose_gc(scan_, facts_, {.now_ns = kNowNs}))), Paths{});
}

TEST(RemovalTarget, UnderstandsTypeRevisionAndFile) {
  auto const target = RemovalTarget::parse("dataset/org/ds@refs/pr/1:data/a b.parquet").value();
  EXPECT_EQ(target.type, RepoType::kDataset);
  EXPECT_EQ(target.id, "org/ds");
  EXPECT_EQ(target.revision, "refs/pr/1");
  EXPECT_EQ(target.file, "data/a b.parquet");
  EXPECT_EQ(target.folder_name(), "datasets--org--ds");
  EXPECT_EQ(RemovalTarget::parse("gpt2").value().folder_name(), "models--gpt2");
  EXPECT_EQ(RemovalTarget::parse("model/org/x").value().folder_name(), "models--org--x");
  for (auto const* bad : {"", "a/b/c", "../x", "org/x@", "org/x@..", "org/x:", "org/x:../y",
                          "dataset/", "org/x@a:/etc/passwd"})
    EXPECT_EQ(RemovalTarget::parse(bad).error().code, Code::kInvalidArgument) << bad;
}

}  // namespace
}  // namespace homelab::cache
