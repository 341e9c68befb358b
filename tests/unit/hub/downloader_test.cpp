#include "hub/downloader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <future>

#include "base/hash.h"
#include "cache/blob_writer.h"
#include "fake_client.h"
#include "support/temp_dir.h"
#include "support/trash_filler.h"

namespace homelab::hub {
namespace {

using homelab::test::TempDir;
using test::FakeAnswer;
using test::FakeClient;
using ::testing::HasSubstr;

std::string const kCommit(40, 'c');

std::string git_oid(std::string const& content) {
  auto hasher = Hasher::git_blob(content.size());
  hasher.update(content);
  return hasher.finish();
}

/// A Hub with one repository, in memory.
class FakeHub {
 public:
  FakeHub() : client([this](auto const& request) { return answer(request); }) {
    // Larger than all buffers together, so that transfers must be paused and resumed.
    files["model.safetensors"] = std::string(9'000'001, 'w');
    files["second.json"] = std::string(700'000, 's');
    files["config.json"] = "{}";
    files["tokenizer.json"] = "[]";
    files["same.json"] = "[]";
  }

  FakeAnswer answer(http::ClientRequest const& request) {
    auto const& url = request.url;
    if (url.find("/revision/") != std::string::npos)
      return {200, {}, R"({"sha":")" + kCommit + "\"}", {}, false};
    if (url.find("/tree/") != std::string::npos) return {200, {}, listing(), {}, false};
    auto const name = url.substr(url.rfind('/') + 1);
    FakeAnswer out{200, {}, files.at(name).substr(request.range_from.value_or(0)), {}, false};
    if (request.range_from) {
      out.status = 206;
      out.headers.add("Content-Range", "bytes " + std::to_string(*request.range_from) + "-" +
                                           std::to_string(files.at(name).size() - 1) + "/" +
                                           std::to_string(files.at(name).size()));
    }
    if (drop_every_bytes > 0 && out.body.size() > drop_every_bytes) {
      out.body.resize(drop_every_bytes);
      out.network = fail(Code::kUnavailable, "connection reset");
    }
    return out;
  }

  std::string listing() const {
    std::string out;
    for (auto const& [name, content] : files) {
      out += std::string(out.empty() ? "[" : ",") + R"({"type":"file","path":")" + name +
             R"(","size":)" + std::to_string(content.size()) + R"(,"oid":")" + git_oid(content) +
             "\"}";
    }
    return out + "]";
  }

  std::map<std::string, std::string> files;
  std::size_t drop_every_bytes = 0;
  FakeClient client;
};

class Downloads : public ::testing::Test {
 protected:
  Downloads() {
    HubOptions options;
    options.endpoint = "http://hub.example";
    options.retry_unit = std::chrono::milliseconds(0);
    Downloader::Options limits;
    limits.free_space_reserve_bytes = 0;
    downloader = Downloader::create(hub.client, options, limits);
  }

  DownloadRequest request() {
    return {folder.path(), {}, cache::ModelReference::parse("org/m").value(), false, false, {}, {}};
  }
  std::filesystem::path repo() const { return folder / "models--org--m"; }

  TempDir folder;
  FakeHub hub;
  std::unique_ptr<Downloader> downloader;
};

TEST_F(Downloads, EndInASnapshotWithRightContent) {
  auto const ready = downloader->ensure(request());
  ASSERT_TRUE(ready) << ready.error().message;
  for (auto const& [name, content] : hub.files)
    EXPECT_EQ(homelab::test::slurp(ready->folder / name), content) << name;
  EXPECT_EQ(homelab::test::slurp(repo() / "refs/main"), kCommit);
  EXPECT_EQ(ready->total_bytes, 9'700'007U);
}

/// The reserve makes the disk nearly full, whatever its size.
TEST_F(Downloads, EmptyTheTrashWhenTheyNeedItsSpace) {
  auto const oldest = homelab::test::fill_trash(folder.path(), "20250101T000000.000000Z-00000001");
  auto const newest = homelab::test::fill_trash(folder.path(), "20250102T000000.000000Z-00000002");
  HubOptions options;
  options.endpoint = "http://hub.example";
  Downloader::Options limits;
  limits.free_space_reserve_bytes =
      os::disk_space(folder.path()).value().free_bytes + homelab::test::kTrashRecordBytes / 2;
  auto const tight = Downloader::create(hub.client, options, limits);
  auto const ready = tight->ensure(request());
  EXPECT_TRUE(ready) << ready.error().message;
  EXPECT_FALSE(std::filesystem::exists(oldest));
  EXPECT_TRUE(std::filesystem::exists(newest));
}

TEST_F(Downloads, LeaveTheTrashWhenAllOfItWouldNotDo) {
  auto const record = homelab::test::fill_trash(folder.path(), "20250101T000000.000000Z-00000001");
  HubOptions options;
  options.endpoint = "http://hub.example";
  Downloader::Options limits;
  limits.free_space_reserve_bytes =
      os::disk_space(folder.path()).value().free_bytes + 10 * homelab::test::kTrashRecordBytes;
  auto const ready = Downloader::create(hub.client, options, limits)->ensure(request());
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(std::filesystem::exists(record));
}

TEST_F(Downloads, FetchTheSameContentOnce) {
  ASSERT_TRUE(downloader->ensure(request()));
  EXPECT_EQ(hub.client.count("tokenizer.json") + hub.client.count("same.json"), 1U);
}

TEST_F(Downloads, AreNotRepeatedWhenAllIsThere) {
  ASSERT_TRUE(downloader->ensure(request()));
  auto const before = hub.client.count("http");
  auto const again = downloader->ensure(request());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->downloaded_bytes, 0U);
  EXPECT_EQ(hub.client.count("http"), before);
}

TEST_F(Downloads, OfTenCallersAreOne) {
  hub.client.hold(true);
  std::vector<std::future<Result<ReadySnapshot>>> callers;
  std::atomic<int> reported{0};
  for (int i = 0; i < 10; ++i) {
    auto mine = request();
    mine.on_progress = [&](Progress const&) { ++reported; };
    callers.push_back(
        std::async(std::launch::async, [this, mine] { return downloader->ensure(mine); }));
  }
  while (reported < 20) std::this_thread::yield();  // all ten wait, most have reported twice
  hub.client.hold(false);
  for (auto& caller : callers) EXPECT_TRUE(caller.get());
  EXPECT_EQ(hub.client.count("/revision/"), 1U);
  EXPECT_EQ(hub.client.count("resolve"), 4U);
}

TEST_F(Downloads, GoOnForTheOthersWhenOneCallerLeaves) {
  hub.client.hold(true);
  std::atomic<bool> leave{false};
  std::atomic<int> reported{0};
  auto patient = request();
  patient.on_progress = [&](Progress const&) { ++reported; };
  auto stays = std::async(std::launch::async, [&] { return downloader->ensure(patient); });
  while (reported == 0) std::this_thread::yield();
  auto impatient = request();
  impatient.cancelled = [&] { return leave.load(); };
  auto leaves = std::async(std::launch::async, [&] { return downloader->ensure(impatient); });
  leave = true;
  EXPECT_EQ(leaves.get().error().code, Code::kCancelled);
  hub.client.hold(false);
  EXPECT_TRUE(stays.get());
}

TEST_F(Downloads, StopWhenNobodyWaitsAndContinueLater) {
  hub.client.hold(true);
  auto cancelled = request();
  cancelled.cancelled = [&] { return hub.client.count("model.safetensors") > 0; };
  auto const stopped = downloader->ensure(cancelled);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  EXPECT_FALSE(std::filesystem::exists(repo() / "refs"));
  hub.client.hold(false);
  EXPECT_TRUE(downloader->ensure(request()));
}

TEST_F(Downloads, FinishOverALinkThatDropsAllTheTime) {
  hub.drop_every_bytes = 400'000;
  auto const ready = downloader->ensure(request());
  ASSERT_TRUE(ready) << ready.error().message;
  EXPECT_EQ(ready->downloaded_bytes,
            9'700'005U);  // every byte once; "[]" is one blob under two names
}

TEST_F(Downloads, NeverCountBackwardsOrTooFar) {
  hub.drop_every_bytes = 300'000;
  Progress last;
  auto watched = request();
  watched.on_progress = [&](Progress const& now) {
    EXPECT_GE(now.present_bytes + now.downloaded_bytes, last.present_bytes + last.downloaded_bytes);
    EXPECT_LE(now.present_bytes + now.downloaded_bytes, now.total_bytes);
    last = now;
  };
  ASSERT_TRUE(downloader->ensure(watched));
  EXPECT_EQ(last.stage, Progress::Stage::kDone);
  EXPECT_EQ(last.present_bytes + last.downloaded_bytes, last.total_bytes);
  EXPECT_EQ(last.finished_files, last.total_files);
}

TEST_F(Downloads, GiveUpOnContentThatStaysWrong) {
  auto const good = hub.files["second.json"];
  auto const bad = std::string(good.size(), 'X');
  auto const tree = hub.listing();
  FakeClient liar([&](http::ClientRequest const& asked) {
    if (asked.url.find("/tree/") != std::string::npos) return FakeAnswer{200, {}, tree, {}, false};
    auto out = hub.answer(asked);
    if (asked.url.ends_with("second.json")) out.body = bad;
    return out;
  });
  auto const ready =
      Downloader::create(liar, {"http://hub.example", "", false, std::chrono::milliseconds(0)},
                         {8, 16, 2, 0})
          ->ensure(request());
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, Code::kDataLoss);
  EXPECT_THAT(ready.error().message, HasSubstr("second.json of org/m from http://hub.example"));
  EXPECT_EQ(liar.count("second.json"), 2U);
  EXPECT_FALSE(std::filesystem::exists(repo() / "blobs" / git_oid(good)));
  EXPECT_FALSE(std::filesystem::exists(repo() / "refs"));
}

TEST_F(Downloads, UseACompleteSnapshotInAnotherFolderOfTheRoot) {
  TempDir const other;
  auto there = request();
  there.hub_folder = other.path();
  ASSERT_TRUE(downloader->ensure(there));
  auto const before = hub.client.count("http");
  auto here = request();
  here.also_look_in = {other.path()};
  auto const ready = downloader->ensure(here);
  ASSERT_TRUE(ready);
  EXPECT_TRUE(ready->folder.string().starts_with(other.path().string()));
  EXPECT_EQ(hub.client.count("http"), before);
  EXPECT_FALSE(std::filesystem::exists(repo()));
}

TEST_F(Downloads, WaitForALockOfAnotherProgramUntilItsBlobIsThere) {
  auto const name = cache::BlobName::parse(git_oid(hub.files["model.safetensors"])).value();
  auto const writer = cache::RepoWriter::open(folder.path(), request().model.repo).value();
  auto lock = writer.lock(name, [] { return false; });
  ASSERT_TRUE(lock);
  std::atomic<bool> waits{false};
  auto watched = request();
  watched.on_progress = [&](Progress const& now) {
    if (now.stage == Progress::Stage::kWaitingForLock) waits = true;
  };
  auto download = std::async(std::launch::async, [&] { return downloader->ensure(watched); });
  while (!waits) std::this_thread::yield();
  ASSERT_TRUE(writer.put_blob(name, std::as_bytes(std::span(hub.files["model.safetensors"]))));
  EXPECT_TRUE(download.get());
  EXPECT_EQ(hub.client.count("model.safetensors"), 0U);
}

}  // namespace
}  // namespace homelab::hub
