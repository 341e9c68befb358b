#include "answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "builders.h"

namespace homelab::hub {
namespace {

using test::file_of;
using ::testing::HasSubstr;
using ::testing::Not;

std::string const kOid(40, '1');
std::string const kSha(64, '2');

Result<cache::Tree> listing(std::string const& body) {
  std::vector<cache::TreeFile> files;
  RETURN_IF_ERROR(parse_tree_page(body, files));
  return make_tree(std::move(files));
}

std::string entry(std::string const& path, std::string const& more = "") {
  return R"({"type":"file","path":")" + path + R"(","size":5,"oid":")" + kOid + "\"" + more + "}";
}

TEST(Answers, GiveTheCommitOfARepository) {
  EXPECT_EQ(parse_repo_info(R"({"id":"a/b","sha":")" + kOid + "\"}")->commit.text(), kOid);
}

TEST(Answers, GiveTheDateOfARevisionWhenItIsOne) {
  auto const with = [](std::string const& date) {
    return parse_repo_info(R"({"sha":")" + kOid + R"(","lastModified":")" + date + "\"}")
        ->last_modified;
  };
  EXPECT_EQ(with("2026-01-31T12:00:00.000Z"), "2026-01-31T12:00:00.000Z");
  EXPECT_EQ(with("yesterday <b>"), std::nullopt);
  EXPECT_EQ(with("2026-01-31T12:00:00"), std::nullopt);
}

TEST(Answers, RefuseARepositoryWithoutARealCommit) {
  for (char const* body :
       {"", "[]", "{}", R"({"sha":5})", R"({"sha":"main"})", R"({"sha":"../../x"})", "{"})
    EXPECT_EQ(parse_repo_info(body).error().code, Code::kDataLoss) << body;
}

TEST(Answers, GiveFilesWithTheirHashes) {
  auto const tree = listing(
      "[" + entry("b.txt") + R"(,{"type":"directory","path":"d","oid":"x","size":0},)" +
      entry("a/m.gguf", R"(,"lfs":{"oid":")" + kSha + R"(","size":5},"xetHash":")" + kSha + "\"") +
      "]");
  ASSERT_TRUE(tree) << tree.error().message;
  ASSERT_EQ(tree->files.size(), 2U);
  EXPECT_EQ(tree->files[0].path.text(), "a/m.gguf");
  EXPECT_EQ(tree->files[0].blob_name()->text(), kSha);
  EXPECT_EQ(tree->files[0].xet_hash, kSha);
  EXPECT_EQ(tree->files[1].blob_name()->text(), kOid);
  EXPECT_EQ(tree->files[1].size_bytes, 5U);
}

TEST(Answers, RefuseAListingWithAnyBadEntry) {
  for (std::string const& bad :
       {entry("../x"), entry("/etc/passwd"), entry("a//b"), entry("a/../../b"), entry(""),
        std::string(R"({"type":"file","path":"a","size":-1,"oid":")" + kOid + "\"}"),
        std::string(R"({"type":"file","path":"a","size":1.5,"oid":")" + kOid + "\"}"),
        std::string(R"({"type":"file","path":"a","oid":")" + kOid + "\"}"),
        std::string(R"({"type":"file","path":"a","size":1,"oid":"../../x"})"),
        std::string(R"({"type":"link","path":"a","size":1,"oid":")" + kOid + "\"}"),
        entry("a", R"(,"lfs":{"oid":"short"})"),
        entry("a", R"(,"lfs":{"oid":")" + kSha + R"(","size":6})"), std::string("5"),
        std::string("null")})
    EXPECT_EQ(listing("[" + entry("good.txt") + "," + bad + "]").error().code, Code::kDataLoss)
        << bad;
  EXPECT_FALSE(listing("{}"));
  EXPECT_FALSE(listing("[" + entry("a")));
}

TEST(Answers, RefuseAPathThatIsListedTwiceOrIsFileAndFolder) {
  EXPECT_THAT(listing("[" + entry("a") + "," + entry("a") + "]").error().message,
              HasSubstr("twice"));
  EXPECT_THAT(listing("[" + entry("a") + "," + entry("a/b") + "]").error().message,
              HasSubstr("file and a folder"));
  EXPECT_TRUE(listing("[" + entry("a") + "," + entry("a.b/c") + "," + entry("ab/c") + "]"));
}

TEST(Answers, DropAXetHashThatIsNone) {
  auto const tree = listing("[" + entry("a", R"(,"xetHash":"zz")") + "]");
  ASSERT_TRUE(tree);
  EXPECT_FALSE(tree->files[0].xet_hash);
}

TEST(Answers, FindTheNextPage) {
  EXPECT_EQ(next_link(R"(<http://h/x?a=1,2&c=d>; rel="next")"), "http://h/x?a=1,2&c=d");
  EXPECT_EQ(next_link(R"(<http://h/1>; rel="prev", <http://h/3>; rel="next")"), "http://h/3");
  EXPECT_FALSE(next_link(R"(<http://h/1>; rel="last")"));
  EXPECT_FALSE(next_link("<http://h/1"));
  EXPECT_FALSE(next_link(""));
}

TEST(Answers, CompareOriginsBySchemeHostAndPort) {
  EXPECT_EQ(origin_of("HTTPS://Hub.Example/x"), origin_of("https://hub.example:443?y"));
  EXPECT_NE(origin_of("https://hub.example"), origin_of("http://hub.example"));
  EXPECT_NE(origin_of("https://hub.example"), origin_of("https://hub.example.evil.org"));
  EXPECT_EQ(origin_of("https://hub.example@evil.org/"), origin_of("https://evil.org"));
  EXPECT_EQ(origin_of("http://[::1]:8000/x"), "http://[::1]:8000");
  EXPECT_EQ(origin_of("http://[::1]/x"), "http://[::1]:80");
  EXPECT_FALSE(origin_of("file:///etc/passwd"));
  EXPECT_FALSE(origin_of("http:///x"));
}

Error error_for(int status, char const* code, bool has_token = false) {
  http::Headers headers;
  if (*code != '\0') headers.add("X-Error-Code", code);
  headers.add("X-Error-Message", "bad\x1b[31m thing");
  return error_of_answer(status, headers, "org/m at main", "https://hub.example", has_token);
}

TEST(Answers, ExplainWhatToDoWhenAccessIsRefused) {
  EXPECT_EQ(error_for(401, "GatedRepo").code, Code::kPermissionDenied);
  EXPECT_THAT(error_for(401, "GatedRepo").message, HasSubstr("HF_TOKEN"));
  EXPECT_THAT(error_for(403, "GatedRepo", true).message, HasSubstr("Ask for it"));
  EXPECT_THAT(error_for(401, "RepoNotFound").message, HasSubstr("no such repository"));
  EXPECT_EQ(error_for(403, "").code, Code::kPermissionDenied);
}

TEST(Answers, NameWhatIsMissing) {
  EXPECT_EQ(error_for(404, "RevisionNotFound").code, Code::kNotFound);
  EXPECT_THAT(error_for(404, "RevisionNotFound").message, HasSubstr("no such revision"));
  EXPECT_THAT(error_for(404, "RepoNotFound").message, HasSubstr("org/m at main"));
}

TEST(Answers, TellServerTroubleFromNonsense) {
  EXPECT_EQ(error_for(429, "").code, Code::kUnavailable);
  EXPECT_EQ(error_for(503, "").code, Code::kUnavailable);
  EXPECT_EQ(error_for(302, "").code, Code::kDataLoss);
}

TEST(Answers, KeepControlCharactersOfTheServerOutOfMessages) {
  EXPECT_THAT(error_for(404, "").message, HasSubstr("bad [31m thing"));
  EXPECT_THAT(error_for(404, "").message, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace homelab::hub
