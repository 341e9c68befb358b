// Answers that come later or in pieces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

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
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using Channel = std::shared_ptr<StreamChannel>;

/// Waits for a promise for as long as a test may take.
template <class T>
T wait(std::future<T> future) {
  if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready)
    throw std::runtime_error("what the test waits for did not happen");
  return future.get();
}

StreamReply stream(std::function<void(Channel)> start) {
  StreamReply reply;
  reply.headers.set("content-type", "text/event-stream");
  reply.start = std::move(start);
  return reply;
}

/// A server whose only route streams, and the channel of the last request.
struct StreamServer {
  explicit StreamServer(ServerOptions options = {}) : running(router(), std::move(options)) {}

  Router router() {
    Router made;
    auto const handler = [this](Request const&) -> Reply {
      return stream([this](Channel channel) { opened.set_value(std::move(channel)); });
    };
    made.add("GET", "/", handler);
    made.add("HEAD", "/", handler);
    return made;
  }
  Channel channel() { return wait(opened.get_future()); }

  std::promise<Channel> opened;
  RunningServer running;
};

TEST(ServerStream, SendsEveryPieceAsAChunkAtOnce) {
  StreamServer server;
  RawClient client(server.running.port());
  client.send(get("/"));
  Channel const channel = server.channel();
  std::string const head = client.read_until("\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("\r\ntransfer-encoding: chunked\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("content-length")));
  for (std::string const piece : {"data: one\n\n", "data: two\n\n"}) {
    EXPECT_TRUE(channel->write(piece));
    EXPECT_EQ(client.read_until("\n\n\r\n"), "b\r\n" + piece + "\r\n");
  }
  channel->close();
  EXPECT_EQ(client.read_to_end(), "0\r\n\r\n");
}

TEST(ServerStream, KeepsTheOrderOfManyPiecesFromAnotherThread) {
  StreamServer server;
  RawClient client(server.running.port());
  client.send("GET / HTTP/1.0\r\n\r\n");
  Channel const channel = server.channel();
  std::string expected;
  std::thread writer([&] {
    for (int i = 0; i < 5000; ++i) {
      std::string const piece = std::to_string(i) + "\n";
      expected += piece;
      ASSERT_TRUE(channel->write(piece));
    }
    channel->close();
  });
  std::string const answer = client.read_to_end();
  writer.join();
  EXPECT_TRUE(body_of(answer) == expected);
  EXPECT_THAT(answer.substr(0, 300), Not(HasSubstr("chunked")));
}

TEST(ServerStream, KeepsTheConnectionAfterAStreamThatEndedProperly) {
  Router router;
  router.add("GET", "/", [](Request const&) -> Reply {
    return stream([](Channel const& channel) {
      channel->write("all");
      channel->close();
    });
  });
  RunningServer const running(std::move(router));
  RawClient client(running.port());
  for (int i = 0; i < 3; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(client.read_until("0\r\n\r\n"), EndsWith("\r\n\r\n3\r\nall\r\n0\r\n\r\n"));
  }
}

TEST(ServerStream, SaysKeepAliveWhenTheHandlerWantsItSaid) {
  Router router;
  router.add("GET", "/", [](Request const&) -> Reply {
    StreamReply reply = stream([](Channel const& channel) { channel->close(); });
    reply.headers.set("connection", "keep-alive");
    return reply;
  });
  RunningServer const running(std::move(router));
  RawClient client(running.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read_until("0\r\n\r\n"), HasSubstr("\r\nconnection: keep-alive\r\n"));
}

TEST(ServerStream, BreaksTheConnectionWhenTheBodyIsNotComplete) {
  StreamServer server;
  RawClient client(server.running.port());
  client.send(get("/"));
  Channel channel = server.channel();
  channel->write("half");
  client.read_until("half");
  channel->close(false);
  EXPECT_THAT(client.read_to_end(), Not(HasSubstr("0\r\n\r\n")));
}

TEST(ServerStream, CountsAChannelThatWasForgottenAsBroken) {
  StreamServer server;
  RawClient client(server.running.port());
  client.send(get("/"));
  server.channel()->write("half");
  EXPECT_THAT(client.read_to_end(), Not(HasSubstr("0\r\n\r\n")));
}

TEST(ServerStream, TellsTheWriterAtOnceWhenTheClientLeaves) {
  StreamServer server;
  auto client = std::make_unique<RawClient>(server.running.port());
  client->send(get("/"));
  Channel const channel = server.channel();
  std::promise<void> gone;
  channel->on_client_gone([&] { gone.set_value(); });
  client->read_until("\r\n\r\n");
  client.reset();
  wait(gone.get_future());
  EXPECT_FALSE(channel->write("nobody reads this"));
  bool called_at_once = false;
  channel->on_client_gone([&] { called_at_once = true; });
  EXPECT_TRUE(called_at_once);
}

TEST(ServerStream, DoesNotTellTheWriterWhenTheClientLeavesAfterTheEnd) {
  StreamServer server;
  std::atomic<bool> told{false};
  {
    RawClient client(server.running.port());
    client.send(get("/"));
    Channel const channel = server.channel();
    channel->on_client_gone([&] { told = true; });
    channel->close();
    client.read_to_end();
  }
  server.running.server->stop(std::chrono::seconds(5));
  EXPECT_FALSE(told);
}

TEST(ServerStream, StopsAWriterThatIsFarAheadOfItsClient) {
  ServerOptions options;
  options.stream_buffer_bytes = 64 * 1024;
  StreamServer server(options);
  RawClient client(server.running.port());
  client.send(get("/"));
  Channel const channel = server.channel();
  std::promise<void> gone;
  channel->on_client_gone([&] { gone.set_value(); });
  std::string const piece(16 * 1024, 'p');
  std::size_t written = 0;
  while (written < 10000 && channel->write(piece)) ++written;
  EXPECT_LT(written, 10000U);  // 160 MB never fit into socket buffers
  wait(gone.get_future());
  EXPECT_FALSE(channel->write("x"));
}

TEST(ServerStream, StopsAWriterWhoseClientReadsNothingAtAll) {
  ServerOptions options;
  options.stream_buffer_bytes = 64 * 1024;
  options.body_timeout = std::chrono::hours(1);
  StreamServer server(options);
  RawClient client(server.running.port());
  client.send(get("/"));
  Channel const channel = server.channel();
  std::promise<void> gone;
  channel->on_client_gone([&] { gone.set_value(); });
  // Slow enough that the server sends each piece before the next comes, until the kernel's buffers
  // are full: the connection then waits for the client, not for the writer.
  std::string const piece(16 * 1024, 'p');
  std::size_t written = 0;
  while (written < 10000 && channel->write(piece)) {
    ++written;
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  EXPECT_LT(written, 10000U);
  wait(gone.get_future());
}

TEST(ServerStream, TakesOnePieceLargerThanTheBound) {
  ServerOptions options;
  options.stream_buffer_bytes = 1000;
  StreamServer server(options);
  RawClient client(server.running.port());
  client.send("GET / HTTP/1.0\r\n\r\n");
  Channel const channel = server.channel();
  std::string const large(3 * 1000 * 1000, 'l');
  EXPECT_TRUE(channel->write(large));
  channel->close();
  EXPECT_TRUE(body_of(client.read_to_end()) == large);
}

TEST(ServerStream, GivesAHeadRequestADeadChannelAndNoBody) {
  StreamServer server;
  RawClient client(server.running.port());
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_FALSE(server.channel()->write("x"));
  EXPECT_THAT(client.read_to_end(), EndsWith("\r\n\r\n"));
}

TEST(ServerStream, HoldsAPipelinedRequestUntilTheStreamEnds) {
  StreamServer server;
  RawClient client(server.running.port());
  client.send(
      "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /missing HTTP/1.1\r\nHost: x\r\nConnection: "
      "close\r\n\r\n");
  Channel const channel = server.channel();
  channel->write("x");
  client.read_until("1\r\nx\r\n");
  channel->close();
  EXPECT_THAT(client.read_to_end(), StartsWith("0\r\n\r\nHTTP/1.1 404 "));
}

TEST(ServerStream, CutsStreamsWhenTheGraceOfAStopIsOver) {
  StreamServer server;
  RawClient client(server.running.port());
  client.send(get("/"));
  Channel const channel = server.channel();
  std::promise<void> gone;
  channel->on_client_gone([&] { gone.set_value(); });
  server.running.server->stop(std::chrono::milliseconds(1));
  wait(gone.get_future());
  EXPECT_THAT(client.read_to_end(), Not(HasSubstr("0\r\n\r\n")));
}

TEST(ServerStream, ContainsAnExceptionOfStart) {
  Router router;
  router.add("GET", "/", [](Request const&) -> Reply {
    return stream([](Channel const&) { throw std::runtime_error("bug"); });
  });
  router.add("GET", "/ok", [](Request const&) -> Reply { return text("fine"); });
  RunningServer const running(std::move(router));
  EXPECT_THAT(talk(running.port(), get("/")), Not(HasSubstr("0\r\n\r\n")));
  EXPECT_EQ(body_of(talk(running.port(), get("/ok"))), "fine");
}

/// A server whose only route answers later.
struct LaterServer {
  LaterServer() : running(router()) {}
  Router router() {
    Router made;
    made.add("GET", "/", [this](Request const&) -> Reply {
      return PendingReply{
          [this](std::shared_ptr<Pending> pending) { started.set_value(std::move(pending)); }};
    });
    return made;
  }
  std::shared_ptr<Pending> pending() { return wait(started.get_future()); }

  std::promise<std::shared_ptr<Pending>> started;
  RunningServer running;
};

TEST(ServerPending, SendsTheAnswerThatAnotherThreadCompletes) {
  LaterServer server;
  RawClient client(server.running.port());
  client.send(get("/"));
  auto const pending = server.pending();
  pending->complete(text("later", 201));
  pending->complete(text("too late"));
  std::string const answer = client.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 201 Created\r\n"));
  EXPECT_EQ(body_of(answer), "later");
}

TEST(ServerPending, CanBecomeAStream) {
  LaterServer server;
  RawClient client(server.running.port());
  client.send(get("/"));
  server.pending()->complete(stream([](Channel const& channel) {
    channel->write("piece");
    channel->close();
  }));
  EXPECT_EQ(body_of(client.read_to_end()), "5\r\npiece\r\n0\r\n\r\n");
}

TEST(ServerPending, AnswersWithAnInternalErrorWhenNobodyCompletesIt) {
  LaterServer server;
  RawClient client(server.running.port());
  client.send(get("/"));
  server.pending().reset();
  std::string const answer = client.read_to_end();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 "));
  EXPECT_EQ(body_of(answer), "Internal Server Error");
}

TEST(ServerPending, TellsAtOnceWhenTheClientLeaves) {
  LaterServer server;
  auto client = std::make_unique<RawClient>(server.running.port());
  client->send(get("/"));
  auto const pending = server.pending();
  std::promise<void> gone;
  pending->on_client_gone([&] { gone.set_value(); });
  client.reset();
  wait(gone.get_future());
  std::promise<bool> alive;
  pending->complete(stream([&](Channel const& channel) { alive.set_value(channel->write("x")); }));
  EXPECT_FALSE(wait(alive.get_future()));
}

TEST(ServerPending, DoesNotTellWhenTheClientLeavesAfterTheAnswer) {
  LaterServer server;
  std::atomic<bool> told{false};
  {
    RawClient client(server.running.port());
    client.send(get("/"));
    auto const pending = server.pending();
    pending->on_client_gone([&] { told = true; });
    pending->complete(text("answer"));
    client.read_to_end();
  }
  server.running.server->stop(std::chrono::seconds(5));
  EXPECT_FALSE(told);
}

TEST(ServerPending, IsToldWhenTheServerStops) {
  LaterServer server;
  RawClient client(server.running.port());
  client.send(get("/"));
  auto const pending = server.pending();
  std::promise<void> gone;
  pending->on_client_gone([&] { gone.set_value(); });
  server.running.server->stop(std::chrono::milliseconds(1));
  wait(gone.get_future());
}

}  // namespace
}  // namespace homelab::http
