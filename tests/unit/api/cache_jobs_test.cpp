// The cache's commands as jobs, over real folders; the rest of the server is imitated.
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "base/hash.h"
#include "fakes.h"

namespace homelab::test {
namespace {

namespace fs = std::filesystem;

class CacheJobsTest : public testing::Test, protected ApiFixture {
 protected:
  static std::string commit(char letter) { return std::string(40, letter); }

  /// One file under a ref; gives the blob.
  fs::path add_file(std::string const& repo, char letter, std::string const& content,
                    std::string const& ref = "main", std::string const& root = "primary") {
    std::string const base = root + "/hub/" + repo;
    std::string const blob = base + "/blobs/" + sha256_hex(content);
    folder.write(blob, content);
    if (!ref.empty()) folder.write(base + "/refs/" + ref, commit(letter));
    auto const link = folder / (base + "/snapshots/" + commit(letter) + "/model.gguf");
    fs::create_directories(link.parent_path());
    fs::create_symlink("../../blobs/" + sha256_hex(content), link);
    return folder / blob;
  }

  json::object submit(std::string const& body) {
    auto const answer = ask("POST", "/api/cache/jobs", body);
    if (answer.status != 202) throw std::runtime_error(answer.body);
    return json_of(answer).as_object();
  }

  /// The job as GET /api/jobs/{id} shows it when it has ended.
  json::object ended(std::string const& id) {
    std::mutex mutex;
    std::condition_variable changed;
    bool over = false;
    auto const watching = jobs.watch(id, [&](jobs::Job const& job) {
      std::lock_guard const lock(mutex);
      over = jobs::is_ended(job.state);
      changed.notify_all();
      return !over;
    });
    if (!watching) throw std::runtime_error(watching.error().message);
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return over; });
    }
    return json_of(ask("GET", "/api/jobs/" + id)).as_object();
  }

  json::object run(std::string const& body) {
    return ended(std::string(submit(body).at("id").as_string()));
  }

  /// 422 with the field of its only error.
  void expect_refused(std::string const& body, std::string const& field, std::string const& type) {
    auto const answer = ask("POST", "/api/cache/jobs", body);
    ASSERT_EQ(answer.status, 422) << body << " " << answer.body;
    auto const detail = json_of(answer).as_object().at("detail").as_array();
    ASSERT_EQ(detail.size(), 1U) << answer.body;
    auto const& entry = detail.at(0).as_object();
    EXPECT_EQ(entry.at("loc").as_array().at(1).as_string(), field) << answer.body;
    EXPECT_EQ(entry.at("type").as_string(), type) << answer.body;
    EXPECT_TRUE(jobs.list().empty()) << "a refused request made a job";
  }

  static std::string state(json::object const& job) {
    return std::string(job.at("state").as_string());
  }
};

TEST_F(CacheJobsTest, VerifyFindsADamagedBlobAndPutsItAway) {
  add_file("models--org--good", 'a', "good content");
  auto const bad = add_file("models--org--bad", 'b', "right content");
  folder.write("primary/hub/models--org--bad/blobs/" + bad.filename().string(), "wrong content");
  auto const job = run(R"({"command": "verify"})");
  EXPECT_EQ(state(job), "succeeded");
  EXPECT_EQ(job.at("complete"), false);
  auto const& result = job.at("result").as_object();
  EXPECT_EQ(result.at("bad").to_number<int>(), 1);
  EXPECT_EQ(result.at("checked_files").to_number<int>(), 2);
  EXPECT_FALSE(fs::exists(bad));
  EXPECT_EQ(job.at("total_files").to_number<int>(), 2);
  EXPECT_EQ(job.at("done_files").to_number<int>(), 2);
}

TEST_F(CacheJobsTest, AVerifyThatOnlyReportsMovesNothing) {
  auto const bad = add_file("models--org--bad", 'b', "right content");
  folder.write("primary/hub/models--org--bad/blobs/" + bad.filename().string(), "wrong content");
  auto const job = run(R"({"command": "verify", "repos": ["org/bad"], "dry_run": true})");
  EXPECT_EQ(job.at("result").at("bad").to_number<int>(), 1);
  EXPECT_TRUE(fs::exists(bad));
}

TEST_F(CacheJobsTest, AWordThatMeansNoRepositoryFailsTheJobInTheWordsOfTheCommand) {
  fs::create_directories(folder / "primary/hub");
  auto const job = run(R"({"command": "verify", "repos": ["org/none"]})");
  EXPECT_EQ(state(job), "failed");
  EXPECT_EQ(job.at("error_code").as_string(), "not_found");
  EXPECT_TRUE(job.at("error").as_string().starts_with("org/none is in none"));
  EXPECT_TRUE(job.at("result").is_null());
}

TEST_F(CacheJobsTest, GcRemovesWhatNobodyNeedsAndADryRunOnlySaysSo) {
  auto const needed = add_file("models--org--name", 'a', "needed");
  folder.write("primary/hub/models--org--name/blobs/" + sha256_hex("orphan"), "orphan");
  auto const orphan = needed.parent_path() / sha256_hex("orphan");
  auto const planned = run(R"({"command": "gc", "older_than": "0s", "dry_run": true})");
  EXPECT_EQ(planned.at("result").at("plans").as_array().size(), 1U);
  EXPECT_TRUE(fs::exists(orphan));
  auto const done = run(R"({"command": "gc", "older_than": "0s", "now": true})");
  EXPECT_EQ(state(done), "succeeded");
  EXPECT_EQ(done.at("result").at("removed").to_number<int>(), 1);
  EXPECT_EQ(done.at("result").at("frees_bytes"), planned.at("result").at("frees_bytes"));
  EXPECT_FALSE(fs::exists(orphan));
  EXPECT_TRUE(fs::exists(needed));
}

TEST_F(CacheJobsTest, RmRefusesWhatARegisteredModelNeedsUntilItIsForced) {
  auto const blob = add_file("models--org--name", 'a', "content");
  add_row("mine", "org/name");
  auto const refused = run(R"({"command": "rm", "targets": ["org/name"]})");
  EXPECT_EQ(state(refused), "failed");
  EXPECT_EQ(refused.at("error_code").as_string(), "failed_precondition");
  EXPECT_NE(refused.at("error").as_string().find("registered as 'mine'"), json::string::npos);
  EXPECT_TRUE(fs::exists(blob));
  auto const forced = run(R"({"command": "rm", "targets": ["org/name"], "force": true})");
  EXPECT_EQ(state(forced), "succeeded") << json::serialize(forced);
  EXPECT_FALSE(fs::exists(blob));
}

TEST_F(CacheJobsTest, TheLoadedModelIsNamedAsLoaded) {
  add_file("models--org--name", 'a', "content");
  add_row("mine", "org/name");
  engines.loaded_name = "mine";
  auto const refused = run(R"({"command": "rm", "targets": ["org/name"]})");
  EXPECT_NE(refused.at("error").as_string().find("loaded as 'mine'"), json::string::npos);
}

TEST_F(CacheJobsTest, WhatWasRemovedComesBackWithUndo) {
  auto const blob = add_file("models--org--name", 'a', "content");
  auto const removed = run(R"({"command": "rm", "targets": ["org/name"]})");
  ASSERT_EQ(removed.at("result").at("trash").as_array().size(), 1U) << json::serialize(removed);
  EXPECT_FALSE(fs::exists(blob));
  auto const listed = json_of(ask("GET", "/api/cache/trash")).as_array();
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].at("id"), removed.at("result").at("trash").as_array()[0]);
  EXPECT_EQ(listed[0].at("reason").as_string(), "cache rm org/name");
  auto const undone = run(R"({"command": "undo"})");
  EXPECT_EQ(state(undone), "succeeded") << json::serialize(undone);
  EXPECT_TRUE(fs::exists(blob));
}

TEST_F(CacheJobsTest, EmptyingTheTrashFreesIt) {
  add_file("models--org--name", 'a', "content");
  (void)run(R"({"command": "rm", "targets": ["org/name"]})");
  auto const emptied = run(R"({"command": "trash_empty"})");
  EXPECT_EQ(emptied.at("result").at("ids").as_array().size(), 1U);
  EXPECT_EQ(json_of(ask("GET", "/api/cache/trash")), json::array());
  EXPECT_EQ(run(R"({"command": "undo"})").at("error_code").as_string(), "not_found");
}

TEST_F(CacheJobsTest, PruneTakesRevisionsWithoutARefAndKeepsTheNewest) {
  auto const old = add_file("models--org--name", 'a', "old", "");
  auto const current = add_file("models--org--name", 'b', "new");
  auto const job = run(R"({"command": "prune", "repos": ["org/name"]})");
  EXPECT_EQ(state(job), "succeeded") << json::serialize(job);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(current));
}

TEST_F(CacheJobsTest, MvTakesARepositoryToTheOtherLocation) {
  add_file("models--org--name", 'a', "content");
  fs::create_directories(folder / "secondary/hub");
  auto const job = run(R"({"command": "mv", "repo": "org/name", "to": "secondary"})");
  EXPECT_EQ(state(job), "succeeded") << json::serialize(job);
  EXPECT_EQ(job.at("result").at("method").as_string(), "rename");
  EXPECT_FALSE(fs::exists(folder / "primary/hub/models--org--name"));
  EXPECT_TRUE(
      fs::exists(folder / ("secondary/hub/models--org--name/blobs/" + sha256_hex("content"))));
}

TEST_F(CacheJobsTest, MvTakesTheRegistrationAlongUnlessTheModelIsLoaded) {
  add_file("models--org--name", 'a', "content");
  add_row("mine", "org/name");
  engines.loaded_name = "mine";
  std::string const body = R"({"command": "mv", "repo": "org/name", "to": "secondary"})";
  EXPECT_EQ(run(body).at("error_code").as_string(), "failed_precondition");
  EXPECT_TRUE(fs::exists(folder / "primary/hub/models--org--name"));
  EXPECT_EQ(registry.rows.at(0).cache_location, "primary");
  engines.loaded_name.clear();
  auto const job = run(body);
  EXPECT_EQ(state(job), "succeeded") << json::serialize(job);
  EXPECT_FALSE(fs::exists(folder / "primary/hub/models--org--name"));
  EXPECT_EQ(registry.rows.at(0).cache_location, "secondary");
  EXPECT_EQ(registry.rows.at(0).cache_path, (folder / "secondary").string());
}

TEST_F(CacheJobsTest, DedupMakesTwoBlobsOne) {
  std::string const content(8192, 'x');
  auto const one = add_file("models--org--one", 'a', content);
  auto const two = add_file("models--org--two", 'b', content);
  auto const job = run(R"({"command": "dedup"})");
  EXPECT_EQ(state(job), "succeeded") << json::serialize(job);
  ASSERT_EQ(job.at("result").at("shared").as_array().size(), 1U);
  // A reflink is another file; a hard link the same one.
  bool const linked =
      job.at("result").at("shared").as_array()[0].at("how").as_string() == "hard link";
  EXPECT_EQ(fs::equivalent(one, two), linked);
}

TEST_F(CacheJobsTest, BridgeAndItsUndo) {
  add_file("models--org--name", 'a', "content");
  auto const linked = run(R"({"command": "bridge"})");
  EXPECT_EQ(state(linked), "succeeded") << json::serialize(linked);
  EXPECT_TRUE(fs::is_symlink(folder / "primary/models--org--name"));
  (void)run(R"({"command": "bridge", "undo": true})");
  EXPECT_FALSE(fs::exists(fs::symlink_status(folder / "primary/models--org--name")));
}

TEST_F(CacheJobsTest, AdoptTakesALooseFileIn) {
  folder.write("elsewhere/model.gguf", "GGUF" + std::string(100, '\0'));
  auto const source = (folder / "elsewhere/model.gguf").string();
  auto const job =
      run(R"({"command": "adopt", "as": "org/mine", "sources": [")" + source + R"("]})");
  EXPECT_EQ(state(job), "succeeded") << json::serialize(job);
  EXPECT_TRUE(fs::exists(folder / "primary/hub/models--org--mine/refs/main"));
  EXPECT_TRUE(fs::exists(source));
}

TEST_F(CacheJobsTest, BadRequestsAreRefusedFieldByFieldAndMakeNoJob) {
  expect_refused(R"({})", "command", "missing");
  expect_refused(R"({"command": "format"})", "command", "literal_error");
  expect_refused(R"({"command": "gc", "dryrun": true})", "dryrun", "extra_forbidden");
  expect_refused(R"({"command": "dedup", "force": true})", "force", "extra_forbidden");
  expect_refused(R"({"command": "gc", "dry_run": "perhaps"})", "dry_run", "bool_parsing");
  expect_refused(R"({"command": "gc", "older_than": "soon"})", "older_than", "value_error");
  expect_refused(R"({"command": "gc", "location": "moon"})", "location", "literal_error");
  expect_refused(R"({"command": "gc", "location": "custom"})", "location", "value_error");
  expect_refused(R"({"command": "gc", "path": "hub"})", "path", "value_error");
  expect_refused(R"({"command": "gc", "location": "primary", "path": "/x"})", "path",
                 "value_error");
  expect_refused(R"({"command": "rm"})", "targets", "missing");
  expect_refused(R"({"command": "rm", "targets": []})", "targets", "too_short");
  expect_refused(R"({"command": "rm", "targets": "org/name"})", "targets", "list_type");
  expect_refused(R"({"command": "rm", "targets": ["../x"]})", "targets", "value_error");
  expect_refused(R"({"command": "rm", "targets": [7]})", "targets", "string_type");
  expect_refused(R"({"command": "prune", "keep": -1})", "keep", "greater_than_equal");
  expect_refused(R"({"command": "mv", "repo": "org/name"})", "to", "value_error");
  expect_refused(R"({"command": "mv", "repo": "org/name", "to": "primary", "path": "/x"})", "to",
                 "value_error");
  expect_refused(R"({"command": "verify", "threads": 1000})", "threads", "less_than_equal");
  expect_refused(R"({"command": "verify", "keep_bad": true})", "keep_bad", "value_error");
  expect_refused(R"({"command": "verify", "repair": true, "dry_run": true})", "dry_run",
                 "value_error");
  expect_refused(R"({"command": "update", "to": "v2"})", "to", "value_error");
  expect_refused(R"({"command": "update", "names": ["a"], "to": "../v2"})", "to", "value_error");
  expect_refused(R"({"command": "update", "rollback": true})", "rollback", "value_error");
  expect_refused(R"({"command": "update", "keep": 0})", "keep", "greater_than_equal");
  expect_refused(R"({"command": "update", "keep": 1, "check": true})", "keep", "value_error");
  expect_refused(R"({"command": "adopt", "sources": ["rel/x.gguf"]})", "sources", "value_error");
  expect_refused(R"({"command": "adopt", "sources": ["/x"], "as": "a--b"})", "as", "value_error");
}

TEST_F(CacheJobsTest, LsSaysWhatIsThereAndWhoUsesIt) {
  add_file("models--org--name", 'a', "content");
  add_row("mine", "org/name");
  auto const all = json_of(ask("GET", "/api/cache/ls")).as_array();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].at("repo").as_string(), "org/name");
  EXPECT_EQ(all[0].at("registered_as"), json::array{"mine"});
  auto const one = json_of(ask("GET", "/api/cache/ls?repo=org%2Fname")).as_array();
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].at("blobs").as_array().size(), 1U);
  EXPECT_EQ(ask("GET", "/api/cache/ls?repo=org/none").status, 404);
  EXPECT_EQ(ask("GET", "/api/cache/ls?repo=..").status, 400);
}

TEST_F(CacheJobsTest, DuAddsUpBothLocations) {
  add_file("models--org--name", 'a', "content");
  auto const places = json_of(ask("GET", "/api/cache/du")).as_array();
  ASSERT_EQ(places.size(), 2U);
  EXPECT_EQ(places[0].at("content_bytes").to_number<int>(), 7);
  EXPECT_EQ(places[1].at("content_bytes").to_number<int>(), 0);
}

TEST_F(CacheJobsTest, TheListHasLoadsAndCacheJobsWithoutTheirResults) {
  fs::create_directories(folder / "primary/hub");
  engine::JobView load;
  load.id = 3;
  load.model = "mine";
  engines.job_list.push_back(load);
  auto const job = run(R"({"command": "verify"})");
  auto const list = json_of(ask("GET", "/api/jobs")).as_object().at("jobs").as_array();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].at("id").to_number<int>(), 3);
  EXPECT_EQ(list[1].at("id"), job.at("id"));
  EXPECT_FALSE(list[1].as_object().contains("result"));
  EXPECT_EQ(list[1].at("request"), (json::object{{"command", "verify"}}));
  EXPECT_EQ(json_of(ask("GET", "/api/jobs/3")).at("model").as_string(), "mine");
  EXPECT_EQ(ask("DELETE", "/api/jobs/3").status, 400);
  EXPECT_EQ(ask("POST", "/api/jobs/3/retry").status, 400);
  EXPECT_EQ(ask("GET", "/api/jobs/3/events").status, 400);
}

TEST_F(CacheJobsTest, UnknownJobsAreNotFound) {
  EXPECT_EQ(ask("GET", "/api/jobs/none").status, 404);
  EXPECT_EQ(ask("DELETE", "/api/jobs/none").status, 404);
  EXPECT_EQ(ask("POST", "/api/jobs/none/retry").status, 404);
  EXPECT_EQ(ask("GET", "/api/jobs/none/events").status, 404);
}

TEST_F(CacheJobsTest, ARetryDoesTheSameAgain) {
  fs::create_directories(folder / "primary/hub");
  auto const first = run(R"({"command": "verify", "repos": ["org/name"]})");
  EXPECT_EQ(state(first), "failed");
  add_file("models--org--name", 'a', "content");
  auto const answer =
      ask("POST", "/api/jobs/" + std::string(first.at("id").as_string()) + "/retry");
  ASSERT_EQ(answer.status, 202);
  auto const second = ended(std::string(json_of(answer).at("id").as_string()));
  EXPECT_EQ(state(second), "succeeded");
  EXPECT_EQ(second.at("retry_of"), first.at("id"));
  EXPECT_EQ(second.at("request"), first.at("request"));
}

TEST_F(CacheJobsTest, EventsTellTheEndAndCloseTheStream) {
  fs::create_directories(folder / "primary/hub");
  auto const job = run(R"({"command": "verify"})");
  auto const reply = send("GET", "/api/jobs/" + std::string(job.at("id").as_string()) + "/events");
  auto const* stream = std::get_if<http::StreamReply>(&reply);
  ASSERT_NE(stream, nullptr);
  auto const channel = std::make_shared<FakeChannel>();
  stream->start(channel);
  EXPECT_EQ(channel->closed, "properly");
  ASSERT_TRUE(channel->text.starts_with("data: ") && channel->text.ends_with("\n\n"));
  auto const event = parse_json(channel->text.substr(6)).value();
  EXPECT_EQ(event.at("type").as_string(), "end");
  EXPECT_EQ(event.at("job").at("state").as_string(), "succeeded");
}

TEST_F(CacheJobsTest, ATakenJobSaysWhereItIs) {
  fs::create_directories(folder / "primary/hub");
  auto const answer = ask("POST", "/api/cache/jobs", R"({"command": "dedup"})");
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.headers.find("location"),
            "/api/jobs/" + std::string(json_of(answer).at("id").as_string()));
}

}  // namespace
}  // namespace homelab::test
