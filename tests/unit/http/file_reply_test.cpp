// Files over HTTP: sendfile, ranges, conditions.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/server.h"
#include "support/temp_dir.h"
#include "test_peer.h"

namespace homelab::http {
namespace {

using homelab::test::TempDir;
using test::body_of;
using test::get;
using test::RawClient;
using test::RunningServer;
using test::talk;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string pattern(std::size_t size) {
  std::string content(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    content[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return content;
}

/// Serves the files of a folder under /{name}, GET and HEAD.
struct FileServer {
  FileServer() : running(router(folder.path())) {}

  static Router router(std::filesystem::path const& root) {
    Router made;
    auto const handler = [root](Request const& request) -> Reply {
      auto file = os::open_file(root / request.path_value("name"), O_RDONLY);
      if (!file) return test::text(file.error().message, 404);
      FileReply reply;
      reply.size_bytes = std::filesystem::file_size(root / request.path_value("name"));
      reply.file = std::move(*file);
      reply.headers.set("etag", "\"tag1\"");
      reply.headers.set("last-modified", "Wed, 01 Jan 2025 00:00:00 GMT");
      reply.headers.set("content-type", "application/octet-stream");
      return reply;
    };
    made.add("GET", "/{name}", handler);
    made.add("HEAD", "/{name}", handler);
    return made;
  }

  std::string ask(std::string const& name, std::string const& fields = "") const {
    return talk(running.port(), get("/" + name, fields));
  }

  TempDir folder;
  RunningServer running;
};

TEST(FileReply, SendsAWholeFileOfAnySize) {
  FileServer const server;
  for (std::size_t const size : {std::size_t{0}, std::size_t{1}, std::size_t{32 * 1024},
                                 std::size_t{32 * 1024 + 1}, std::size_t{20 * 1000 * 1000 + 3}}) {
    std::string const content = pattern(size);
    server.folder.write("f", content);
    std::string const answer = server.ask("f");
    EXPECT_THAT(answer.substr(0, 600), StartsWith("HTTP/1.1 200 OK\r\netag: \"tag1\"\r\n"));
    EXPECT_THAT(answer.substr(0, 600), HasSubstr("\r\naccept-ranges: bytes\r\n"));
    EXPECT_THAT(answer.substr(0, 600),
                HasSubstr("\r\ncontent-length: " + std::to_string(size) + "\r\n"));
    EXPECT_TRUE(body_of(answer) == content) << size;
  }
}

TEST(FileReply, SendsExactlyTheRangeThatWasAskedFor) {
  FileServer const server;
  std::string const content = pattern(100 * 1000);
  server.folder.write("f", content);
  struct Case {
    std::string range;
    std::size_t first, last;
  };
  for (auto const& [range, first, last] :
       {Case{"bytes=0-0", 0, 0}, Case{"bytes=10-19", 10, 19}, Case{"bytes=40000-", 40000, 99999},
        Case{"bytes=-5", 99995, 99999}, Case{"bytes=1-90000", 1, 90000}}) {
    std::string const answer = server.ask("f", "Range: " + range + "\r\n");
    EXPECT_THAT(answer.substr(0, 600), StartsWith("HTTP/1.1 206 Partial Content\r\n"));
    EXPECT_THAT(answer.substr(0, 600),
                HasSubstr("\r\ncontent-range: bytes " + std::to_string(first) + "-" +
                          std::to_string(last) + "/100000\r\n"));
    EXPECT_TRUE(body_of(answer) == content.substr(first, last - first + 1)) << range;
  }
}

TEST(FileReply, SendsTheWholeFileForSeveralRanges) {
  FileServer const server;
  server.folder.write("f", "0123456789");
  std::string const answer = server.ask("f", "Range: bytes=0-1,4-5\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(body_of(answer), "0123456789");
}

TEST(FileReply, SaysTheSizeWhenARangeLiesBehindTheEnd) {
  FileServer const server;
  server.folder.write("f", "0123456789");
  std::string const answer = server.ask("f", "Range: bytes=10-\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 416 Range Not Satisfiable\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\ncontent-range: bytes */10\r\n"));
  EXPECT_EQ(body_of(answer), "");
}

TEST(FileReply, AnswersARangeOfAnEmptyFileWithSuccessAndItsSize) {
  FileServer const server;
  server.folder.write("f", "");
  std::string const answer = server.ask("f", "Range: bytes=0-0\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\ncontent-range: bytes */0\r\n"));
}

TEST(FileReply, IgnoresTheRangeWhenIfRangeNamesAnotherVersion) {
  FileServer const server;
  server.folder.write("f", "0123456789");
  auto const status = [&](std::string const& condition) {
    return server.ask("f", "Range: bytes=0-0\r\nIf-Range: " + condition + "\r\n").substr(9, 3);
  };
  EXPECT_EQ(status("\"tag1\""), "206");
  EXPECT_EQ(status("\"tag2\""), "200");
  EXPECT_EQ(status("W/\"tag1\""), "200");
  EXPECT_EQ(status("Wed, 01 Jan 2025 00:00:00 GMT"), "206");
  EXPECT_EQ(status("Wed, 01 Jan 2025 00:00:01 GMT"), "200");
}

TEST(FileReply, AnswersHeadWithTheSizeAndNoBody) {
  FileServer const server;
  server.folder.write("f", "0123456789");
  std::string const answer = talk(server.running.port(),
                                  "HEAD /f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                  "Range: bytes=0-0\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\ncontent-length: 10\r\n"));
  EXPECT_EQ(body_of(answer), "");
}

TEST(FileReply, KeepsTheConnectionAfterAFile) {
  FileServer const server;
  std::string const content = pattern(50 * 1000);
  server.folder.write("f", content);
  RawClient client(server.running.port());
  for (int i = 0; i < 3; ++i) {
    client.send("GET /f HTTP/1.1\r\nHost: x\r\n\r\n");
    client.read_until("\r\n\r\n");
    EXPECT_TRUE(client.read_bytes(content.size()) == content);
  }
}

TEST(FileReply, BreaksTheConnectionWhenTheFileIsShorterThanAnnounced) {
  TempDir const folder;
  for (std::size_t const size : {std::size_t{1000}, std::size_t{100 * 1000}}) {
    auto const path = folder.write("f", pattern(size));
    Router router;
    router.add("GET", "/", [&](Request const&) -> Reply {
      FileReply reply;
      reply.file = std::move(*os::open_file(path, O_RDONLY));
      reply.size_bytes = size + 1;
      return reply;
    });
    RunningServer const running(std::move(router));
    EXPECT_LE(body_of(talk(running.port(), get("/"))).size(), size);
  }
}

TEST(FileReply, SurvivesAClientThatLeavesInTheMiddle) {
  FileServer const server;
  server.folder.write("f", pattern(30 * 1000 * 1000));
  {
    RawClient client(server.running.port());
    client.send(get("/f"));
    client.read_bytes(1000);
  }
  EXPECT_THAT(server.ask("f", "Range: bytes=0-0\r\n"), StartsWith("HTTP/1.1 206 "));
}

}  // namespace
}  // namespace homelab::http
