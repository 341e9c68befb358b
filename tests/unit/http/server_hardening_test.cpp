// What a hostile or broken client may send, and the answer it gets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/server.h"
#include "test_peer.h"

namespace homelab::http {
namespace {

using test::body_of;
using test::get;
using test::RawClient;
using test::RunningServer;
using test::talk;
using test::text;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Router small_router() {
  Router router;
  router.add("GET", "/", [](Request const&) -> Reply { return text("root"); });
  router.add(
      "POST", "/echo", [](Request const& request) -> Reply { return text(request.body); }, 10);
  return router;
}

/// Sends `request`; the server must answer `status` with a reason as JSON and close.
void expect_refusal(int status, std::string const& request) {
  SCOPED_TRACE(request);
  RunningServer const running(small_router());
  std::string const answer = talk(running.port(), request);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + std::to_string(status) + " "));
  EXPECT_THAT(answer, HasSubstr("\r\nconnection: close\r\n"));
  EXPECT_THAT(body_of(answer), StartsWith(R"({"detail":")"));
}

TEST(ServerHardening, RefusesMalformedRequestLines) {
  expect_refusal(400, "nonsense\r\n\r\n");
  expect_refusal(400, "GET /\r\nHost: x\r\n\r\n");
  expect_refusal(400, "GET / HTTP/2.0\r\nHost: x\r\n\r\n");
  expect_refusal(400, "GET  / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refusal(400, "G@T / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refusal(400, "GET / HTTP/1.1\nHost: x\n\n");
  expect_refusal(400, "GET relative HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refusal(400, "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n");
}

TEST(ServerHardening, RefusesMalformedHeaderFields) {
  expect_refusal(400, "GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n");
  expect_refusal(400, "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n");
  expect_refusal(400, "GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n");
  expect_refusal(400, "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n");
  using namespace std::string_literals;
  expect_refusal(400, "GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n"s);
}

TEST(ServerHardening, RefusesAFoldedHeaderField) {
  expect_refusal(400, "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n");
  expect_refusal(400, "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\tc\r\n\r\n");
}

TEST(ServerHardening, RefusesAFoldedFieldAlsoWhenItComesInTwoPieces) {
  RunningServer const running(small_router());
  RawClient client(running.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n");
  client.send(" c\r\n\r\n");
  EXPECT_THAT(client.read_to_end(), StartsWith("HTTP/1.1 400 "));
}

TEST(ServerHardening, WantsExactlyOneHostField) {
  expect_refusal(400, "GET / HTTP/1.1\r\n\r\n");
  expect_refusal(400, "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n");
}

TEST(ServerHardening, RefusesEveryDoubtAboutTheLengthOfABody) {
  std::string const post = "POST /echo HTTP/1.1\r\nHost: x\r\n";
  expect_refusal(400, post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc");
  expect_refusal(400, post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab");
  expect_refusal(400, post + "Content-Length: 2, 3\r\n\r\nabc");
  expect_refusal(400, post + "Content-Length: +2\r\n\r\nab");
  expect_refusal(400, post + "Content-Length: -2\r\n\r\nab");
  expect_refusal(400, post + "Content-Length: 0x2\r\n\r\nab");
  expect_refusal(400, post + "Content-Length: 99999999999999999999\r\n\r\nab");
  expect_refusal(400, post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  expect_refusal(400, post + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n");
  expect_refusal(400, post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST(ServerHardening, KnowsNoTransferEncodingButChunked) {
  std::string const post = "POST /echo HTTP/1.1\r\nHost: x\r\n";
  expect_refusal(501, post + "Transfer-Encoding: gzip\r\n\r\n");
  expect_refusal(501, post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
  expect_refusal(501, post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n");
  expect_refusal(400, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}

TEST(ServerHardening, RefusesMalformedChunks) {
  std::string const head = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect_refusal(400, head + "-2\r\nab\r\n0\r\n\r\n");
  expect_refusal(400, head + "zz\r\nab\r\n0\r\n\r\n");
  expect_refusal(400, head + "2\r\nabc\r\n0\r\n\r\n");
  expect_refusal(400, head + "11111111111111111\r\n");
}

TEST(ServerHardening, RefusesAChunkHeaderWithoutEnd) {
  expect_refusal(400, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;" +
                          std::string(200 * 1000, 'e'));
}

TEST(ServerHardening, RefusesUnknownExpectations) {
  expect_refusal(417,
                 "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: gold\r\nContent-Length: 1\r\n\r\n");
}

TEST(ServerHardening, RefusesABodyAboveTheLimitOfItsRouteBeforeReadingIt) {
  expect_refusal(413, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
  expect_refusal(
      413, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
  expect_refusal(413, "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n");
}

TEST(ServerHardening, RefusesChunksAboveTheLimitOfTheRoute) {
  std::string const head = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect_refusal(413, head + "b\r\n");
  expect_refusal(413, head + "6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n");
}

TEST(ServerHardening, CountsAChunkThatIsStillOnItsWayAgainstTheLimit) {
  RunningServer const running(small_router());
  RawClient client(running.port());
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n1");
  client.send("23456789\r\n9\r\n123456789\r\n0\r\n\r\n");
  EXPECT_THAT(client.read_to_end(), StartsWith("HTTP/1.1 413 "));
}

TEST(ServerHardening, TheClientSees413AlthoughItSendsItsWholeBodyFirst) {
  RunningServer const running(small_router());
  std::string const answer =
      talk(running.port(), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" +
                               std::string(3 * 1000 * 1000, 'x'));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 "));
}

TEST(ServerHardening, RefusesAHeadAboveTheLimit) {
  expect_refusal(431, "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(17000, 'a') + "\r\n\r\n");
  expect_refusal(431, "GET /" + std::string(20000, 'a'));
}

TEST(ServerHardening, EndsARequestHeadThatDoesNotArriveInTime) {
  ServerOptions options;
  options.header_timeout = std::chrono::seconds(1);
  RunningServer const running(small_router(), options);
  EXPECT_THAT(talk(running.port(), "GET / HTTP/1.1\r\nHo"), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(talk(running.port(), ""), "");
}

TEST(ServerHardening, EndsARequestBodyThatDoesNotArriveInTime) {
  ServerOptions options;
  options.body_timeout = std::chrono::seconds(1);
  RunningServer const running(small_router(), options);
  EXPECT_THAT(talk(running.port(), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"),
              StartsWith("HTTP/1.1 408 "));
}

TEST(ServerHardening, ClosesAConnectionThatIsIdleTooLong) {
  ServerOptions options;
  options.idle_timeout = std::chrono::seconds(1);
  RunningServer const running(small_router(), options);
  std::string const answer = talk(running.port(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(body_of(answer), "root");
}

TEST(ServerHardening, RefusesConnectionsAboveTheCap) {
  ServerOptions options;
  options.max_connections = 2;
  RunningServer const running(small_router(), options);
  RawClient first(running.port());
  RawClient second(running.port());
  for (RawClient* client : {&first, &second}) {
    client->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client->read_until("root");
  }
  RawClient third(running.port());
  std::string const answer = third.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_EQ(body_of(answer), R"({"detail":"The server has too many connections"})");
  first.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(first.read_to_end(), StartsWith("HTTP/1.1 200 "));
}

TEST(ServerHardening, NeverWritesALineBreakFromAHeaderValue) {
  Router router;
  router.add("GET", "/", [](Request const&) -> Reply {
    using namespace std::string_view_literals;
    Response response = text("ok");
    response.headers.add("x-injected", "a\r\nset-cookie: evil=1");
    response.headers.add("x-lf", "a\nset-cookie: evil=2");
    response.headers.add("x-nul", "a\0b"sv);
    response.headers.add("x bad\r\nset-cookie", "evil=3");
    response.headers.add("x-good", "fine\tcaf\xC3\xA9");
    return response;
  });
  RunningServer const running(std::move(router));
  std::string const answer = talk(running.port(), get("/"));
  EXPECT_THAT(answer, Not(HasSubstr("evil")));
  EXPECT_THAT(answer, Not(HasSubstr("x-nul")));
  EXPECT_THAT(answer, HasSubstr("\r\nx-good: fine\tcaf\xC3\xA9\r\n"));
}

TEST(ServerHardening, AHandlerCannotBreakTheFramingOfItsAnswer) {
  Router router;
  router.add("GET", "/", [](Request const&) -> Reply {
    Response response = text("four");
    response.headers.set("Content-Length", "400");
    response.headers.set("Transfer-Encoding", "chunked");
    return response;
  });
  RunningServer const running(std::move(router));
  std::string const answer = talk(running.port(), get("/"));
  EXPECT_THAT(answer, HasSubstr("\r\ncontent-length: 4\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("400")));
  EXPECT_THAT(answer, Not(HasSubstr("chunked")));
}

TEST(ServerHardening, ARequestBehindARefusedOneIsNeverRun) {
  RunningServer const running(small_router());
  std::string const answer = talk(
      running.port(),
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answer, Not(HasSubstr("root")));
}

}  // namespace
}  // namespace homelab::http
