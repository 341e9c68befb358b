#include "hub/update.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/hash.h"
#include "fake_client.h"
#include "hub/repair.h"
#include "support/temp_dir.h"

namespace homelab::hub {
namespace {

using homelab::test::TempDir;
using test::FakeAnswer;
using test::FakeClient;
using ::testing::HasSubstr;

std::string git_oid(std::string const& content) {
  auto hasher = Hasher::git_blob(content.size());
  hasher.update(content);
  return hasher.finish();
}

/// A Hub whose `main` can move; every commit has its own files.
class MovingHub {
 public:
  MovingHub() : client([this](auto const& request) { return answer(request.url); }) {
    files[commit('1')] = {{"config.json", "{}"},
                          {"tokenizer.json", "[]"},
                          {"model.safetensors", std::string(5000, '1')}};
    files[commit('2')] = files[commit('1')];
    files[commit('2')]["model.safetensors"] = std::string(6000, '2');
  }
  static std::string commit(char digit) { return std::string(40, digit); }

  FakeAnswer answer(std::string const& url) {
    if (away) {
      FakeAnswer lost;
      lost.network = fail(Code::kUnavailable, "no route");
      lost.before_head = true;
      return lost;
    }
    if (url.find("/revision/") != std::string::npos)
      return {200, {}, R"({"sha":")" + main + "\"}", {}, false};
    for (auto const& [hash, content] : files) {
      if (url.find("/tree/" + hash) != std::string::npos)
        return {200, {}, listing(content), {}, false};
      if (url.find("/resolve/" + hash) != std::string::npos)
        return {200, {}, content.at(url.substr(url.rfind('/') + 1)), {}, false};
    }
    return {404, {}, "", {}, false};
  }
  static std::string listing(std::map<std::string, std::string> const& content) {
    std::string out;
    for (auto const& [name, text] : content)
      out += std::string(out.empty() ? "[" : ",") + R"({"type":"file","path":")" + name +
             R"(","size":)" + std::to_string(text.size()) + R"(,"oid":")" + git_oid(text) + "\"}";
    return out + "]";
  }

  std::map<std::string, std::map<std::string, std::string>> files;
  std::string main = commit('1');
  bool away = false;
  FakeClient client;
};

class Updates : public ::testing::Test {
 protected:
  Updates() : api(hub.client, options()) {
    Downloader::Options limits;
    limits.free_space_reserve_bytes = 0;
    downloader = Downloader::create(hub.client, options(), limits);
    DownloadRequest first{folder.path(), {}, question.model, false, false, {}, {}};
    auto const ready = downloader->ensure(std::move(first));
    if (!ready) throw std::runtime_error(ready.error().message);
  }
  static HubOptions options() {
    HubOptions options;
    options.endpoint = "http://hub.example";
    options.retry_unit = std::chrono::milliseconds(0);
    return options;
  }
  UpdateAnswer look() {
    auto answer = look_for_update(api, question, {});
    if (!answer) throw std::runtime_error(answer.error().message);
    return std::move(*answer);
  }
  void stage_and_switch() {
    auto const target = look().target;
    auto const staged = stage_update(*downloader, question, target, {}, {});
    ASSERT_TRUE(staged) << staged.error().message;
    auto const switched = switch_to(question, target);
    ASSERT_TRUE(switched) << switched.error().message;
  }
  std::string ref() {
    return cache::RepoFolder(folder.path(), question.model.repo)
        .read_ref(question.model.revision)
        .value()
        .text();
  }
  static cache::CommitHash commit(char digit) {
    return cache::CommitHash::parse(MovingHub::commit(digit)).value();
  }

  TempDir folder;
  MovingHub hub;
  UpdateQuestion question{folder.path(), cache::ModelReference::parse("org/m").value(),
                          std::nullopt};
  HubApi api;
  std::unique_ptr<Downloader> downloader;
};

TEST_F(Updates, ThereIsNoneWhileTheHubHasNotMoved) {
  auto const answer = look();
  EXPECT_FALSE(answer.is_newer());
  EXPECT_TRUE(answer.current_complete);
  EXPECT_TRUE(answer.target_complete);
  EXPECT_EQ(answer.bytes_to_come(), 0U);
}

TEST_F(Updates, CountOnlyWhatIsNotInTheCacheYet) {
  hub.main = MovingHub::commit('2');
  auto const answer = look();
  EXPECT_TRUE(answer.is_newer());
  EXPECT_EQ(answer.current, commit('1'));
  EXPECT_EQ(answer.target, commit('2'));
  ASSERT_EQ(answer.to_come.size(), 1U);
  EXPECT_EQ(answer.bytes_to_come(), 6000U);
  EXPECT_EQ(answer.total_bytes, 6004U);
}

TEST_F(Updates, StagedBesideTheOldOneMoveNoRef) {
  hub.main = MovingHub::commit('2');
  auto const staged = stage_update(*downloader, question, commit('2'), {}, {});
  ASSERT_TRUE(staged) << staged.error().message;
  EXPECT_EQ(staged->downloaded_bytes, 6000U);
  EXPECT_EQ(ref(), MovingHub::commit('1'));
  EXPECT_TRUE(look().target_complete);
}

TEST_F(Updates, AreRefusedUntilTheyAreComplete) {
  auto const early = switch_to(question, commit('2'));
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(ref(), MovingHub::commit('1'));
}

TEST_F(Updates, AreTakenBackWithoutTheHub) {
  hub.main = MovingHub::commit('2');
  stage_and_switch();
  EXPECT_EQ(ref(), MovingHub::commit('2'));
  hub.away = true;
  EXPECT_EQ(rollback_target(question).value(), commit('1'));
  EXPECT_EQ(roll_back(question).value(), commit('1'));
  EXPECT_EQ(ref(), MovingHub::commit('1'));
  auto const again = roll_back(question);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr(MovingHub::commit('2'))) << "what --to could take";
}

TEST_F(Updates, AreNotTakenBackToSomethingIncomplete) {
  hub.main = MovingHub::commit('2');
  stage_and_switch();
  std::filesystem::remove(folder.path() / "models--org--m/blobs" / git_oid(std::string(5000, '1')));
  ASSERT_FALSE(roll_back(question));
  EXPECT_EQ(ref(), MovingHub::commit('2'));
}

TEST_F(Updates, ToACommitOnTheDiskAskNobody) {
  hub.main = MovingHub::commit('2');
  stage_and_switch();
  hub.away = true;
  question.wanted = cache::Revision::parse(MovingHub::commit('1')).value();
  EXPECT_TRUE(look().target_complete);
  EXPECT_TRUE(switch_to(question, commit('1')));
  EXPECT_EQ(ref(), MovingHub::commit('1'));
}

TEST_F(Updates, OfAModelAtAFixedCommitAreRefused) {
  question.model = cache::ModelReference::parse("org/m@" + MovingHub::commit('1')).value();
  auto const answer = look_for_update(api, question, {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kFailedPrecondition);
}

TEST_F(Updates, KeepNoMoreRevisionsThanAsked) {
  hub.main = MovingHub::commit('2');
  stage_and_switch();
  auto const said = keep_newest(question, 1, {}, true, {});
  ASSERT_TRUE(said) << said.error().message;
  EXPECT_EQ(said->revisions, 1U);
  auto const old_snapshot = folder.path() / "models--org--m/snapshots" / MovingHub::commit('1');
  EXPECT_TRUE(std::filesystem::exists(old_snapshot));
  cache::Need const loaded{folder.path() / "models--org--m", std::nullopt, commit('1'), "loaded"};
  auto const refused = keep_newest(question, 1, std::span(&loaded, 1), false, {});
  ASSERT_TRUE(refused) << refused.error().message;
  EXPECT_EQ(refused->revisions, 0U);
  EXPECT_EQ(refused->kept.size(), 1U);
  ASSERT_TRUE(keep_newest(question, 1, {}, false, {}));
  EXPECT_FALSE(std::filesystem::exists(old_snapshot));
  EXPECT_TRUE(look().current_complete);
}

class PlainLoads : public Updates {
 protected:
  Result<ReadySnapshot> load() {
    return downloader->ensure({folder.path(), {}, question.model, false, false, {}, {}});
  }
  void lose_the_weights() {
    std::filesystem::remove(folder.path() / "models--org--m/blobs" /
                            git_oid(std::string(5000, '1')));
  }
};

TEST_F(PlainLoads, CompleteWhatIsMissingAtTheCommitThatIsHere) {
  hub.main = MovingHub::commit('2');
  lose_the_weights();
  auto const ready = load();
  ASSERT_TRUE(ready) << ready.error().message;
  EXPECT_EQ(ready->commit, commit('1'));
  EXPECT_EQ(ready->downloaded_bytes, 5000U);
  EXPECT_EQ(ref(), MovingHub::commit('1'));
}

TEST_F(PlainLoads, TakeTheNewestWhenTheHubHasTheOldCommitNoMore) {
  hub.main = MovingHub::commit('2');
  hub.files.erase(MovingHub::commit('1'));
  lose_the_weights();
  auto const ready = load();
  ASSERT_TRUE(ready) << ready.error().message;
  EXPECT_EQ(ready->commit, commit('2'));
  EXPECT_EQ(ref(), MovingHub::commit('2'));
}

TEST_F(PlainLoads, SayThatTheHubIsAwayWhenSomethingIsMissing) {
  lose_the_weights();
  hub.away = true;
  auto const ready = load();
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, Code::kUnavailable);
}

class Repairs : public Updates {
 protected:
  Result<RepairOutcome> repair_model(std::string const& path = "model.safetensors") {
    RepairRequest request{folder.path(), question.model.repo, {}, {}, {}, {}};
    request.files.push_back({commit('1'), cache::RepoPath::parse(path).value()});
    Downloader::Options limits;
    limits.free_space_reserve_bytes = 0;
    return repair(hub.client, api, limits, request);
  }
  [[nodiscard]] std::filesystem::path blob() const {
    return folder.path() / "models--org--m/blobs" / git_oid(std::string(5000, '1'));
  }
};

TEST_F(Repairs, BringBackOneFileAndNothingElse) {
  std::filesystem::remove(blob());
  auto const outcome = repair_model();
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->errors.empty());
  EXPECT_EQ(outcome->downloaded_bytes, 5000U);
  EXPECT_EQ(std::filesystem::file_size(blob()), 5000U);
}

TEST_F(Repairs, WriteAListingAnewThatIsLost) {
  std::filesystem::remove(blob());
  auto const listing = folder.path() / "models--org--m/trees" / (MovingHub::commit('1') + ".json");
  std::ofstream(listing, std::ios::trunc) << "{";
  RepairRequest request{folder.path(), question.model.repo, {}, {commit('1')}, {}, {}};
  ASSERT_TRUE(repair(hub.client, api, {}, request));
  EXPECT_GT(std::filesystem::file_size(listing), 100U);
}

TEST_F(Repairs, SayWhatTheyCouldNotDo) {
  std::filesystem::remove(blob());
  auto const unknown = repair_model("absent.json");
  ASSERT_TRUE(unknown);
  ASSERT_EQ(unknown->errors.size(), 1U);
  EXPECT_EQ(unknown->errors.front().code, Code::kNotFound);
  EXPECT_THAT(unknown->errors.front().message, HasSubstr("absent.json"));
}

}  // namespace
}  // namespace homelab::hub
