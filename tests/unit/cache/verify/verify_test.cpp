#include "cache/verify.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <future>
#include <thread>

#include "../hub_fixture.h"
#include "base/os/file_lock.h"
#include "verify/content_check.h"

namespace homelab::cache {
namespace {

using Kind = VerifyFinding::Kind;

class Verify : public HubFixture {
 protected:
  /// A file of the snapshot and of its listing.
  BlobName add(std::string_view name, std::string const& content) {
    auto const blob = put(content);
    auto const linked = link(name, blob);
    if (!linked) throw std::runtime_error(linked.error().message);
    tree_.files.push_back({path(name), content.size(), blob.text(), std::nullopt, std::nullopt});
    return blob;
  }
  void write_listing() {
    auto const written = writer().write_tree(commit(), tree_);
    if (!written) throw std::runtime_error(written.error().message);
  }
  [[nodiscard]] Path blob_path(BlobName const& name) const {
    return repo() / "blobs" / name.text();
  }
  static void overwrite(Path const& file, std::string const& content) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
  }
  /// Flips one bit in place; the length stays.
  static void damage(Path const& file) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    int const first = stream.get();
    stream.seekp(0);
    stream.put(static_cast<char>(first ^ 1));
  }
  /// Waits until the file system's clock has moved on, so that what is good may be remembered.
  static void settle(Path const& file) {
    struct stat found{};
    do {
      if (::stat(file.c_str(), &found) != 0) throw std::runtime_error("no " + file.string());
    } while (!is_settled(facts_of(found), file_clock_ns()));
  }
  VerifiedRepo verify(VerifyOptions const& options = {}) const {
    Path const folder = repo();
    auto report = verify_repos(std::span(&folder, 1), options);
    if (!report) throw std::runtime_error(report.error().message);
    return std::move(report->repos.at(0));
  }
  static std::vector<Kind> kinds(VerifiedRepo const& repo) {
    std::vector<Kind> all;
    for (auto const& finding : repo.findings) all.push_back(finding.kind);
    return all;
  }
  [[nodiscard]] std::vector<Path> in_quarantine(BlobName const& name) const {
    return quarantined_files(repo(), name).value();
  }

  Tree tree_;
};

TEST_F(Verify, AGoodRepositoryHasNoFindings) {
  add("config.json", "{}");
  add("sub/weights", std::string(3'000'000, 'w'));
  write_listing();
  auto const seen = verify();
  EXPECT_TRUE(seen.findings.empty()) << seen.findings.front().what;
  EXPECT_EQ(seen.checked_files, 2U);
  EXPECT_EQ(seen.checked_bytes, 3'000'002U);
  EXPECT_EQ(seen.id, "org/name");
}

TEST_F(Verify, AnEmptyRepositoryIsGood) { EXPECT_TRUE(verify().findings.empty()); }

TEST_F(Verify, AFlippedBitIsFoundAndTheBlobIsTakenOutOfService) {
  auto const blob = add("config.json", "{\"a\": 1}");
  add("other", "good");
  write_listing();
  damage(blob_path(blob));
  auto const seen = verify();
  ASSERT_EQ(kinds(seen), std::vector{Kind::kWrongContent});
  auto const& finding = seen.findings.front();
  EXPECT_TRUE(is_bad(finding));
  EXPECT_EQ(finding.entries, (std::vector<EntryName>{{commit(), "config.json"}}));
  ASSERT_TRUE(finding.quarantined);
  EXPECT_EQ(std::filesystem::file_size(*finding.quarantined), 8U) << "the bad content is kept";
  EXPECT_EQ(in_quarantine(blob), std::vector{*finding.quarantined});
  EXPECT_FALSE(std::filesystem::exists(entry("config.json"))) << "readers download it again";
  EXPECT_TRUE(std::filesystem::is_symlink(entry("config.json")));
}

TEST_F(Verify, ABadBlobThatNobodyNeedsIsNoMoreBadInQuarantine) {
  auto const blob = put("needed by nobody");
  damage(blob_path(blob));
  auto const seen = verify();
  ASSERT_EQ(kinds(seen), std::vector{Kind::kWrongContent});
  EXPECT_TRUE(seen.findings.front().out_of_service);
  EXPECT_FALSE(is_bad(seen.findings.front()));
}

TEST_F(Verify, ATruncatedBlobIsWrongAndTheListedSizeIsTold) {
  auto const blob = add("weights", std::string(1000, 'w'));
  write_listing();
  std::filesystem::resize_file(blob_path(blob), 600);
  auto const seen = verify();
  ASSERT_EQ(kinds(seen), std::vector{Kind::kWrongContent});
  EXPECT_NE(seen.findings.front().what.find("600 of 1000 bytes"), std::string::npos)
      << seen.findings.front().what;
}

TEST_F(Verify, WithoutQuarantineNothingIsMoved) {
  auto const blob = add("config.json", "{}");
  damage(blob_path(blob));
  VerifyOptions options;
  options.quarantine = false;
  auto const seen = verify(options);
  ASSERT_EQ(kinds(seen), std::vector{Kind::kWrongContent});
  EXPECT_TRUE(is_bad(seen.findings.front()));
  EXPECT_TRUE(std::filesystem::exists(blob_path(blob)));
}

TEST_F(Verify, ABlobWhoseLockIsHeldStaysAndTheFindingSaysSo) {
  auto const blob = add("config.json", "{}");
  damage(blob_path(blob));
  auto const lock =
      os::FileLock::try_take(hub() / ".locks" / "models--org--name" / (blob.text() + ".lock"));
  ASSERT_TRUE(lock && *lock);
  auto const seen = verify();
  ASSERT_EQ(kinds(seen), std::vector{Kind::kWrongContent});
  EXPECT_FALSE(seen.findings.front().out_of_service);
  EXPECT_TRUE(is_bad(seen.findings.front()));
  EXPECT_NE(seen.findings.front().what.find("lock"), std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(blob_path(blob)));
}

TEST_F(Verify, AListingWithAWrongSizeIsBadWhenTheContentHasItsHash) {
  add("config.json", "{}");
  tree_.files.front().size_bytes = 3;
  write_listing();
  auto const seen = verify();
  ASSERT_EQ(kinds(seen), std::vector{Kind::kBadListing});
  EXPECT_TRUE(is_bad(seen.findings.front()));
}

TEST_F(Verify, ADamagedListingIsReported) {
  add("config.json", "{}");
  write_listing();
  overwrite(repo() / "trees" / (commit().text() + ".json"), "{\"format_version\": 1");
  EXPECT_EQ(kinds(verify()), std::vector{Kind::kBadListing});
}

TEST_F(Verify, FilesThatWereNeverDownloadedAreToldAndNotBad) {
  add("config.json", "{}");
  tree_.files.push_back(
      {path("other.gguf"), 5, git_name("other").text(), std::nullopt, std::nullopt});
  write_listing();
  auto const seen = verify();
  ASSERT_EQ(kinds(seen), std::vector{Kind::kNotDownloaded});
  EXPECT_FALSE(is_bad(seen.findings.front()));
  EXPECT_EQ(seen.findings.front().entries.front().path, "other.gguf");
}

TEST_F(Verify, ALinkWithoutContentIsBad) {
  auto const blob = add("config.json", "{}");
  write_listing();
  std::filesystem::remove(blob_path(blob));
  auto const seen = verify();
  ASSERT_EQ(kinds(seen), std::vector{Kind::kDangling});
  EXPECT_TRUE(is_bad(seen.findings.front()));
  EXPECT_EQ(seen.findings.front().blob, blob.text());
}

TEST_F(Verify, ALinkToAnotherBlobThanListedIsBad) {
  add("a", "content of a");
  add("b", "content of b");
  write_listing();
  std::filesystem::remove(entry("a"));
  std::filesystem::copy_symlink(entry("b"), entry("a"));
  EXPECT_EQ(kinds(verify()), std::vector{Kind::kWrongLink});
}

TEST_F(Verify, ABlobWhoseNameIsNoHashCannotBeChecked) {
  overwrite(repo() / "blobs" / "d41d8cd98f00b204e9800998ecf8427e-12", "from a foreign endpoint");
  auto const seen = verify();
  ASSERT_EQ(kinds(seen), std::vector{Kind::kUncheckable});
  EXPECT_FALSE(is_bad(seen.findings.front()));
}

TEST_F(Verify, ARegularFileInASnapshotIsCheckedByTheListing) {
  auto const blob = add("config.json", "{}");
  write_listing();
  std::filesystem::remove(entry("config.json"));
  std::filesystem::rename(blob_path(blob), entry("config.json"));
  EXPECT_TRUE(verify().findings.empty());
  damage(entry("config.json"));
  auto const seen = verify();
  ASSERT_EQ(kinds(seen), std::vector{Kind::kWrongContent});
  EXPECT_TRUE(std::filesystem::exists(entry("config.json"))) << "a user's own file is not moved";
  EXPECT_EQ(seen.findings.front().entries, (std::vector<EntryName>{{commit(), "config.json"}}));
}

TEST_F(Verify, NothingOutsideTheCacheIsReadOrMoved) {
  auto const secret = dir_ / "secret";
  overwrite(secret, "outside");
  auto const name = git_name("something else").text();
  std::filesystem::create_symlink(secret, repo() / "blobs" / name);
  verify();
  EXPECT_TRUE(std::filesystem::exists(secret));
  EXPECT_TRUE(std::filesystem::is_symlink(repo() / "blobs" / name));
}

class VerifyStore : public Verify {
 protected:
  /// The blob becomes a link into the shared store, as the Python client makes it.
  Path share(BlobName const& blob) {
    std::string const payload(64, '7');
    Path const file = hub() / "blobs" / "77" / payload;
    std::filesystem::create_directories(file.parent_path());
    overwrite(hub() / "blobs" / ".huggingface-shared-blobs", "1\n");
    std::filesystem::rename(blob_path(blob), file);
    std::filesystem::create_symlink("../../blobs/77/" + payload, blob_path(blob));
    return file;
  }
};

TEST_F(VerifyStore, APayloadIsCheckedThroughTheRepositorysName) {
  auto const blob = add("config.json", "{}");
  write_listing();
  share(blob);
  auto const seen = verify();
  EXPECT_TRUE(seen.findings.empty()) << seen.findings.front().what;
  EXPECT_EQ(seen.checked_files, 1U);
}

TEST_F(VerifyStore, OfADamagedPayloadOnlyTheLinkGoes) {
  auto const blob = add("config.json", "{}");
  write_listing();
  auto const payload = share(blob);
  damage(payload);
  auto const seen = verify();
  ASSERT_EQ(kinds(seen), std::vector{Kind::kWrongContent});
  EXPECT_TRUE(seen.findings.front().out_of_service);
  EXPECT_FALSE(seen.findings.front().quarantined);
  EXPECT_FALSE(std::filesystem::is_symlink(blob_path(blob)));
  EXPECT_EQ(std::filesystem::file_size(payload), 2U) << "other repositories may use it";
}

TEST_F(Verify, WhatIsUnchangedIsNotReadAgain) {
  auto const blob = add("config.json", "{}");
  settle(blob_path(blob));
  EXPECT_EQ(verify().checked_files, 1U);
  auto const second = verify();
  EXPECT_EQ(second.checked_files, 0U);
  EXPECT_EQ(second.remembered_files, 1U);
  VerifyOptions options;
  options.all_again = true;
  EXPECT_EQ(verify(options).checked_files, 1U);
}

TEST_F(Verify, AWriteThroughTheLinkAfterTheCheckIsNoticed) {
  auto const blob = add("weights", "trained once");
  settle(blob_path(blob));
  EXPECT_TRUE(verify().findings.empty());
  EXPECT_EQ(verify().remembered_files, 1U);
  overwrite(entry("weights"), "trained twic");
  EXPECT_EQ(kinds(verify()), std::vector{Kind::kWrongContent});
}

TEST_F(Verify, ADamagedRecordIsWorthNothing) {
  auto const blob = add("config.json", "{}");
  settle(blob_path(blob));
  verify();
  auto const record = hub() / ".locks/.homelab-llm/verified/models--org--name";
  damage(record);
  EXPECT_EQ(verify().checked_files, 1U);
  EXPECT_EQ(verify().remembered_files, 1U) << "it was written anew";
}

TEST_F(Verify, ACheckThatIsStoppedRemembersWhatWasDone) {
  auto const large = add("large", std::string(2'000'000, 'l'));
  auto const small = add("small", "s");
  settle(blob_path(small));
  settle(blob_path(large));
  VerifyOptions options;
  options.threads = 1;
  std::atomic<int> asked{0};
  // Large files come first; somewhere in the second file or before it the answer is yes.
  options.cancelled = [&] { return ++asked > 18; };
  Path const folder = repo();
  auto const report = verify_repos(std::span(&folder, 1), options);
  ASSERT_TRUE(report) << why(report);
  EXPECT_TRUE(report->cancelled);
  EXPECT_EQ(report->repos.front().checked_files, 1U);
  auto const second = verify();
  EXPECT_EQ(second.remembered_files, 1U);
  EXPECT_EQ(second.checked_files, 1U);
}

TEST_F(Verify, TwoChecksAtOnceAgreeAndQuarantineOnce) {
  std::vector<BlobName> blobs;
  for (int i = 0; i < 40; ++i)
    blobs.push_back(add("file" + std::to_string(i), "content " + std::to_string(i)));
  for (int i = 0; i < 10; ++i) damage(blob_path(blobs[static_cast<std::size_t>(i)]));
  VerifiedRepo seen[2];
  std::thread other([&] { seen[1] = verify(); });
  seen[0] = verify();
  other.join();
  std::size_t moved = 0;
  for (auto const& repo : seen)
    for (auto const& finding : repo.findings) {
      moved += finding.out_of_service ? 1 : 0;
      EXPECT_TRUE(finding.kind == Kind::kWrongContent || finding.kind == Kind::kChanged ||
                  finding.kind == Kind::kDangling)
          << finding.what;
    }
  EXPECT_EQ(moved, 10U);
  for (int i = 0; i < 40; ++i) {
    auto const& blob = blobs[static_cast<std::size_t>(i)];
    EXPECT_EQ(in_quarantine(blob).size(), i < 10 ? 1U : 0U);
    EXPECT_EQ(std::filesystem::exists(blob_path(blob)), i >= 10);
  }
}

TEST_F(Verify, ProgressEndsAtTheTotal) {
  add("a", std::string(300'000, 'a'));
  add("b", "b");
  VerifyProgress last;
  VerifyOptions options;
  options.on_progress = [&](VerifyProgress const& progress) { last = progress; };
  verify(options);
  EXPECT_EQ(last.done_bytes, 300'001U);
  EXPECT_EQ(last.total_bytes, 300'001U);
  EXPECT_EQ(last.done_files, 2U);
}

TEST_F(Verify, ProgressEndsAtTheTotalWhenTheLastFileEndsWhileItIsTold) {
  add("a", std::string(300'000, 'a'));
  std::promise<void> told;
  auto const was_told = told.get_future().share();
  int calls = 0;
  VerifyProgress last;
  VerifyOptions options;
  options.threads = 1;
  options.cancelled = [&, here = std::this_thread::get_id()] {
    // The file is held back until the first progress call is running ...
    if (std::this_thread::get_id() != here) was_told.wait();
    return false;
  };
  options.on_progress = [&](VerifyProgress const& progress) {
    last = progress;
    if (++calls > 1) return;
    told.set_value();
    std::this_thread::sleep_for(
        std::chrono::milliseconds(300));  // ... and ends while that call is still running
  };
  verify(options);
  EXPECT_GE(calls, 2);
  EXPECT_EQ(last.done_files, 1U);
  EXPECT_EQ(last.done_bytes, 300'000U);
}

TEST_F(Verify, QuarantinedContentGoesOnlyWhenTheRightOneIsThere) {
  auto const blob = add("config.json", "{}");
  damage(blob_path(blob));
  verify();
  auto const too_early = discard_quarantined(repo(), blob);
  ASSERT_FALSE(too_early);
  EXPECT_EQ(too_early.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(in_quarantine(blob).size(), 1U);
  put("{}");
  EXPECT_TRUE(discard_quarantined(repo(), blob));
  EXPECT_TRUE(in_quarantine(blob).empty());
  EXPECT_TRUE(verify().findings.empty());
}

TEST_F(Verify, ARepositoryThatWasMovedAwayMeanwhileDoesNotKeepTheOthersFromBeingChecked) {
  add("config.json", "{}");
  std::array<Path, 2> const folders = {repo().parent_path() / "models--org--gone", repo()};
  auto const report = verify_repos(folders, {});
  ASSERT_TRUE(report);
  ASSERT_EQ(report->repos.size(), 1U);
  EXPECT_EQ(report->repos.front().folder, repo());
  EXPECT_EQ(report->repos.front().checked_files, 1U);
  EXPECT_FALSE(report->cancelled);
}

TEST_F(Verify, AFolderThatIsNoRepositoryIsAnError) {
  Path const folder = dir_ / "root";
  EXPECT_FALSE(verify_repos(std::span(&folder, 1), {}));
}

}  // namespace
}  // namespace homelab::cache
