#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "test_peer.h"

namespace homelab::http {
namespace {

using test::body_of;
using test::get;
using test::RawClient;
using test::RunningServer;
using test::talk;
using test::text;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Router echo_router() {
  Router router;
  router.add("GET", "/health", [](Request const&) -> Reply { return text("ok"); });
  router.add("GET", "/hello/{name}",
             [](Request const& request) -> Reply { return text(request.path_value("name")); });
  router.add(
      "POST", "/echo", [](Request const& request) -> Reply { return text(request.body); },
      100 * 1000);
  return router;
}

TEST(Server, AnswersAPlainRequest) {
  RunningServer const running(echo_router());
  std::string const answer = talk(running.port(), get("/health"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: "));
  EXPECT_THAT(answer, HasSubstr("\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"));
}

TEST(Server, GivesDecodedPathValuesAndTheRawTargetToTheHandler) {
  Router router;
  router.add("GET", "/m/{name}", [](Request const& request) -> Reply {
    return text(request.path_value("name") + "|" + request.target + "|" + request.path + "|" +
                request.query + "|" + std::string(*request.headers.find("x-a")) + "|" +
                request.remote);
  });
  RunningServer const running(std::move(router));
  std::string const body = body_of(talk(running.port(), get("/m/a%20b?q=%31", "X-A: v \r\n")));
  EXPECT_THAT(body, StartsWith("a b|/m/a%20b?q=%31|/m/a%20b|q=%31|v|127.0.0.1:"));
}

TEST(Server, AsksTheDoormanBeforeTheBodyAndWithTheRoutesPattern) {
  Router router = echo_router();
  router.before_all([](Request const& request, std::string_view pattern) -> Router::Entry {
    if (!request.headers.find("x-refuse")) return {};
    Response refusal = text(std::string(pattern));
    refusal.status = 403;
    return {refusal, nullptr};
  });
  RunningServer const running(std::move(router));
  RawClient client(running.port());
  // The body never comes.
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\nContent-Length: 9\r\n\r\n");
  std::string const answer = client.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n/echo"));
  EXPECT_THAT(talk(running.port(), get("/hello/a", "X-Refuse: 1\r\n")), EndsWith("/hello/{name}"));
  EXPECT_THAT(talk(running.port(), get("/health")), EndsWith("ok"));
}

TEST(Server, RefusesWhatABrokenDoormanSaw) {
  Router router = echo_router();
  router.before_all([](Request const&, std::string_view) -> Router::Entry {
    throw std::runtime_error("broken");
  });
  RunningServer const running(std::move(router));
  EXPECT_THAT(talk(running.port(), get("/health")), StartsWith("HTTP/1.1 500 "));
}

TEST(Server, KeepsTheConnectionForTheNextRequest) {
  RunningServer const running(echo_router());
  RawClient client(running.port());
  for (int i = 0; i < 3; ++i) {
    client.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(client.read_until("\r\n\r\n"), Not(HasSubstr("connection")));
    EXPECT_EQ(client.read_bytes(2), "ok");
  }
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  RunningServer const running(echo_router());
  std::string requests;
  for (int i = 0; i < 50; ++i)
    requests += "GET /hello/n" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string const answers = talk(running.port(), requests + get("/hello/last"));
  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = answers.find("\r\n\r\nn" + std::to_string(i) + "HTTP/1.1 200 OK", at);
    ASSERT_NE(at, std::string::npos) << "answer " << i;
  }
  EXPECT_THAT(answers, EndsWith("last"));
}

TEST(Server, ReadsABodyOfKnownLengthThatComesInPieces) {
  RunningServer const running(echo_router());
  RawClient client(running.port());
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Le");
  client.send("ngth: 10\r\n\r\n01234");
  client.send("56789");
  EXPECT_EQ(body_of(client.read_to_end()), "0123456789");
}

TEST(Server, ReadsAChunkedBodyByteByByte) {
  RunningServer const running(echo_router());
  RawClient client(running.port());
  std::string_view const request =
      "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      "4;ext=1\r\nWiki\r\n5\r\npedia\r\n0\r\nTrailer: x\r\n\r\n";
  for (char const c : request) client.send(std::string_view(&c, 1));
  EXPECT_EQ(body_of(client.read_to_end()), "Wikipedia");
}

TEST(Server, ReadsAnEmptyChunkedBodyByteByByte) {
  RunningServer const running(echo_router());
  RawClient client(running.port());
  std::string const head =
      "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (char const c : head + "0\r\n\r\n") client.send(std::string_view(&c, 1));
  std::string const answer = client.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(body_of(answer), "");
}

TEST(Server, ReadsABodyAsLargeAsTheRouteAllows) {
  RunningServer const running(echo_router());
  std::string const body(100 * 1000, 'b');
  std::string const answer =
      talk(running.port(),
           "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n" +
               body);
  EXPECT_EQ(body_of(answer), body);
}

TEST(Server, TellsAClientThatAsksFirstToContinue) {
  RunningServer const running(echo_router());
  RawClient client(running.port());
  client.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n"
      "Content-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("hi");
  std::string const answer = client.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK"));
  EXPECT_EQ(body_of(answer), "hi");
}

TEST(Server, AnswersHttp10AndClosesUnlessAskedToKeepTheConnection) {
  RunningServer const running(echo_router());
  EXPECT_THAT(talk(running.port(), "GET /health HTTP/1.0\r\n\r\n"), HasSubstr("connection: close"));
  RawClient client(running.port());
  client.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(client.read_until("\r\n\r\nok"), HasSubstr("connection: keep-alive"));
  client.send("GET /health HTTP/1.0\r\n\r\n");
  EXPECT_EQ(body_of(client.read_to_end()), "ok");
}

TEST(Server, TakesRequestsOfAProxyAndAnEmptyLineBeforeARequest) {
  RunningServer const running(echo_router());
  EXPECT_EQ(body_of(talk(running.port(), "\r\n" + get("http://any.host:1/health"))), "ok");
}

TEST(Server, AnswersAnUnknownPathAndAWrongMethodInTheFormOfTheApi) {
  RunningServer const running(echo_router());
  std::string const missing = talk(running.port(), get("/nothing"));
  EXPECT_THAT(missing, StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_EQ(body_of(missing), R"({"detail":"Not Found"})");
  std::string const wrong =
      talk(running.port(), "DELETE /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(wrong, HasSubstr("\r\nallow: GET\r\n"));
}

TEST(Server, RefusesHeadOnARouteThatHasOnlyGetAndSendsNoBody) {
  RunningServer const running(echo_router());
  std::string const answer =
      talk(running.port(), "HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 "));
  EXPECT_EQ(body_of(answer), "");
}

TEST(Server, SendsTheHeadOfAHeadRouteWithTheLengthThatTheHandlerNames) {
  Router router;
  router.add("HEAD", "/f", [](Request const&) -> Reply {
    Response response;
    response.headers.set("content-length", "12345");
    return response;
  });
  RunningServer const running(std::move(router));
  std::string const answer =
      talk(running.port(), "HEAD /f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("\r\ncontent-length: 12345\r\n"));
}

TEST(Server, RedirectsATrailingSlashToThePathWithoutIt) {
  RunningServer const running(echo_router());
  std::string const answer = talk(running.port(), get("/hello/a%20b/?x=1"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 307 Temporary Redirect\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nlocation: /hello/a%20b?x=1\r\n"));
  EXPECT_THAT(talk(running.port(), get("/nothing/")), StartsWith("HTTP/1.1 404 "));
}

TEST(Server, NeverRedirectsToAnotherHost) {
  Router router;
  router.add("GET", "/{rest}/{name}/{file}", [](Request const&) -> Reply { return text("x"); });
  router.add("GET", "/{path...}", [](Request const&) -> Reply { return text("rest"); });
  router.add("GET", "/{a}", [](Request const&) -> Reply { return text("a"); });
  RunningServer const running(std::move(router));
  EXPECT_THAT(talk(running.port(), get("//evil.example/")), Not(HasSubstr("location")));
}

TEST(Server, TurnsAnExceptionOfAHandlerIntoAPlainInternalError) {
  Router router;
  router.add("GET", "/throws",
             [](Request const&) -> Reply { throw std::runtime_error("secret detail"); });
  router.add("GET", "/throws-int", [](Request const&) -> Reply { throw 5; });
  router.on_not_found([](Request const&) -> Response { throw std::runtime_error("x"); });
  RunningServer const running(std::move(router));
  for (char const* target : {"/throws", "/throws-int", "/unknown"}) {
    std::string const answer = talk(running.port(), get(target));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 Internal Server Error\r\n")) << target;
    EXPECT_THAT(answer, HasSubstr("content-type: text/plain; charset=utf-8"));
    EXPECT_EQ(body_of(answer), "Internal Server Error");
  }
}

TEST(Server, RunsTheHeadFilterOnEveryAnswerAlsoOnItsOwnErrors) {
  Router router = echo_router();
  router.on_head([](Request const& request, int status, Headers& headers) {
    headers.set("x-seen", request.path + " " + std::to_string(status));
  });
  RunningServer const running(std::move(router));
  EXPECT_THAT(talk(running.port(), get("/health")), HasSubstr("\r\nx-seen: /health 200\r\n"));
  EXPECT_THAT(talk(running.port(), get("/no")), HasSubstr("\r\nx-seen: /no 404\r\n"));
  EXPECT_THAT(talk(running.port(), "nonsense\r\n\r\n"), HasSubstr("\r\nx-seen:  400\r\n"));
}

TEST(Server, SendsNoBodyWithStatusesThatHaveNone) {
  Router router;
  router.add("GET", "/none", [](Request const&) -> Reply { return text("body", 204); });
  RunningServer const running(std::move(router));
  std::string const answer = talk(running.port(), get("/none"));
  EXPECT_THAT(answer, Not(HasSubstr("content-length")));
  EXPECT_EQ(body_of(answer), "");
}

TEST(Server, SendsALargeBodyToASlowReaderCompletely) {
  Router router;
  std::string const large(8 * 1000 * 1000, 'L');
  router.add("GET", "/large", [&](Request const&) -> Reply { return text(large); });
  RunningServer const running(std::move(router));
  EXPECT_EQ(body_of(talk(running.port(), get("/large"))), large);
}

TEST(Server, NamesThePortThatIsTaken) {
  RunningServer const running(echo_router());
  ServerOptions options;
  options.port = running.port();
  auto const second = Server::start(*running.loops, options, Router{});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kUnavailable);
  EXPECT_EQ(second.error().message,
            "port " + std::to_string(running.port()) +
                " on 127.0.0.1 is taken by another program; choose another with --port");
}

TEST(Server, RefusesAHostThatIsNoAddress) {
  IoLoops loops(1);
  ServerOptions options;
  options.host = "not an address";
  auto const server = Server::start(loops, options, Router{});
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Code::kInvalidArgument);
}

TEST(Server, AnswersWithStatus503WhenMoreRequestsWaitThanTheQueueHolds) {
  std::mutex mutex;
  std::condition_variable changed;
  int inside = 0;
  bool open = false;
  Router router;
  router.add("GET", "/wait", [&](Request const&) -> Reply {
    std::unique_lock lock(mutex);
    ++inside;
    changed.notify_all();
    changed.wait(lock, [&] { return open; });
    return text("done");
  });
  ServerOptions options;
  options.handler_threads = 1;
  options.handler_queue = 1;
  RunningServer const running(std::move(router), options);
  RawClient first(running.port());
  first.send(get("/wait"));
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return inside == 1; });
  }
  // One of these two waits in the queue, the other one is refused; which of them comes first is not
  // known.
  RawClient second(running.port());
  RawClient third(running.port());
  second.send(get("/wait"));
  third.send(get("/wait"));
  pollfd both[2] = {{second.fd(), POLLIN, 0}, {third.fd(), POLLIN, 0}};
  ASSERT_GT(::poll(both, 2, 10000), 0);
  RawClient& refused = (both[0].revents & POLLIN) != 0 ? second : third;
  RawClient& waiting = &refused == &second ? third : second;
  std::string const answer = refused.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(body_of(answer), StartsWith(R"({"detail":")"));
  {
    std::lock_guard const guard(mutex);
    open = true;
    changed.notify_all();
  }
  EXPECT_EQ(body_of(first.read_to_end()), "done");
  EXPECT_EQ(body_of(waiting.read_to_end()), "done");
}

TEST(Server, StopClosesIdleConnectionsAndLetsARunningAnswerEnd) {
  std::mutex mutex;
  std::condition_variable changed;
  bool inside = false;
  bool open = false;
  Router router = echo_router();
  router.add("GET", "/wait", [&](Request const&) -> Reply {
    std::unique_lock lock(mutex);
    inside = true;
    changed.notify_all();
    changed.wait(lock, [&] { return open; });
    return text("finished");
  });
  RunningServer running(std::move(router));
  RawClient idle(running.port());
  idle.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  idle.read_until("ok");
  RawClient busy(running.port());
  busy.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return inside; });
  }
  std::thread stopper([&] { running.server->stop(std::chrono::seconds(30)); });
  EXPECT_EQ(idle.read_to_end(), "");
  {
    std::lock_guard const guard(mutex);
    open = true;
    changed.notify_all();
  }
  std::string const answer = busy.read_to_end();
  EXPECT_THAT(answer, HasSubstr("connection: close"));
  EXPECT_EQ(body_of(answer), "finished");
  stopper.join();
  EXPECT_THROW(RawClient(running.port()), std::runtime_error);
}

TEST(Server, ListensAgainOnTheSamePortRightAfterAStop) {
  IoLoops loops(1);
  ServerOptions options;
  options.port = 0;
  auto first = Server::start(loops, options, echo_router());
  ASSERT_TRUE(first);
  options.port = (*first)->port();
  EXPECT_EQ(body_of(talk(options.port, get("/health"))), "ok");
  (*first)->stop(std::chrono::seconds(5));
  auto const second = Server::start(loops, options, echo_router());
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(body_of(talk(options.port, get("/health"))), "ok");
}

}  // namespace
}  // namespace homelab::http
