#include "hub/hub_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_client.h"

namespace homelab::hub {
namespace {

using test::FakeAnswer;
using test::FakeClient;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string const kCommit(40, 'c');

HubOptions options() {
  HubOptions out;
  out.endpoint = "http://hub.example/";
  out.token = "hf_secret";
  out.retry_unit = std::chrono::milliseconds(0);
  return out;
}

auto const kRepo = cache::RepoId::parse("org/model").value();

FakeAnswer info() { return {200, {}, R"({"sha":")" + kCommit + "\"}", {}, false}; }

std::string entry(std::string const& path) {
  return R"({"type":"file","path":")" + path + R"(","size":1,"oid":")" + kCommit + "\"}";
}

TEST(HubApi, AsksForTheCommitOfARevisionEncodedCompletely) {
  std::string asked;
  FakeClient client([&](auto const& request) {
    asked = request.url;
    return info();
  });
  auto const commit =
      HubApi(client, options()).commit_of(kRepo, cache::Revision::parse("refs/pr/1").value(), {});
  ASSERT_TRUE(commit) << commit.error().message;
  EXPECT_EQ(commit->text(), kCommit);
  EXPECT_EQ(asked, "http://hub.example/api/models/org/model/revision/refs%2Fpr%2F1");
}

TEST(HubApi, DoesNotAskForAFullCommit) {
  FakeClient client([](auto const&) { return FakeAnswer{500, {}, "", {}, false}; });
  EXPECT_TRUE(
      HubApi(client, options()).commit_of(kRepo, cache::Revision::parse(kCommit).value(), {}));
  EXPECT_EQ(client.count("http"), 0U);
}

TEST(HubApi, TriesAgainAfterServerErrorsAndBrokenConnections) {
  int calls = 0;
  FakeClient client([&](auto const&) {
    ++calls;
    if (calls == 1) return FakeAnswer{503, {}, "", {}, false};
    if (calls == 2)
      return FakeAnswer{0, {}, "", fail(Code::kUnavailable, "connection refused"), true};
    return info();
  });
  EXPECT_TRUE(HubApi(client, options()).commit_of(kRepo, cache::Revision::main(), {}));
  EXPECT_EQ(calls, 3);
}

TEST(HubApi, GivesUpAServerThatStaysBroken) {
  FakeClient client([](auto const&) { return FakeAnswer{500, {}, "", {}, false}; });
  auto const commit = HubApi(client, options()).commit_of(kRepo, cache::Revision::main(), {});
  ASSERT_FALSE(commit);
  EXPECT_EQ(commit.error().code, Code::kUnavailable);
  EXPECT_EQ(client.count("revision/main"), 6U);
}

TEST(HubApi, DoesNotTryAgainWhatIsRefused) {
  FakeClient client([](auto const&) {
    FakeAnswer answer{401, {}, "", {}, false};
    answer.headers.add("X-Error-Code", "GatedRepo");
    return answer;
  });
  auto const commit = HubApi(client, options()).commit_of(kRepo, cache::Revision::main(), {});
  EXPECT_EQ(commit.error().code, Code::kPermissionDenied);
  EXPECT_THAT(commit.error().message, Not(HasSubstr("hf_secret")));
  EXPECT_EQ(client.count("http"), 1U);
}

TEST(HubApi, AsksNothingWhenOffline) {
  FakeClient client([](auto const&) { return info(); });
  auto settings = options();
  settings.offline = true;
  auto const commit = HubApi(client, settings).commit_of(kRepo, cache::Revision::main(), {});
  EXPECT_EQ(commit.error().code, Code::kUnavailable);
  EXPECT_THAT(commit.error().message, HasSubstr("HF_HUB_OFFLINE"));
  EXPECT_EQ(client.count("http"), 0U);
}

TEST(HubApi, StopsWaitingWhenCancelled) {
  FakeClient client([](auto const&) {
    FakeAnswer answer{429, {}, "", {}, false};
    answer.headers.add("Retry-After", "600");
    return answer;
  });
  auto const commit =
      HubApi(client, options()).commit_of(kRepo, cache::Revision::main(), [] { return true; });
  EXPECT_EQ(commit.error().code, Code::kCancelled);
}

TEST(HubApi, ReadsAllPagesButSendsTheTokenOnlyHome) {
  FakeClient client([](auto const& request) {
    FakeAnswer answer;
    if (request.url.starts_with("http://hub.example/")) {
      answer.headers.add("Link", R"(<http://other.example/page2>; rel="next")");
      answer.body = "[" + entry("b") + "]";
    } else {
      answer.body = "[" + entry("a") + "]";
    }
    return answer;
  });
  auto const tree =
      HubApi(client, options()).tree(kRepo, cache::CommitHash::parse(kCommit).value(), {});
  ASSERT_TRUE(tree) << tree.error().message;
  EXPECT_EQ(tree->files.size(), 2U);
  EXPECT_EQ(tree->files[0].path.text(), "a");
  EXPECT_THAT(client.tokens(), ElementsAre("hf_secret", ""));
}

TEST(HubApi, RefusesAListingThatNeverEnds) {
  FakeClient client([](auto const& request) {
    FakeAnswer answer;
    answer.headers.add("Link", "<" + request.url + ">; rel=\"next\"");
    answer.body = "[]";
    return answer;
  });
  auto const tree =
      HubApi(client, options()).tree(kRepo, cache::CommitHash::parse(kCommit).value(), {});
  EXPECT_EQ(tree.error().code, Code::kResourceExhausted);
}

TEST(HubApi, EscapesThePathOfAFile) {
  FakeClient client([](auto const&) { return info(); });
  EXPECT_EQ(HubApi(client, options())
                .file_url(kRepo, cache::CommitHash::parse(kCommit).value(),
                          cache::RepoPath::parse("a b/ü#%?.txt").value()),
            "http://hub.example/org/model/resolve/" + kCommit + "/a%20b/%C3%BC%23%25%3F.txt");
}

}  // namespace
}  // namespace homelab::hub
