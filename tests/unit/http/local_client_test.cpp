#include "http/local_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/un.h>

#include <cstring>
#include <future>
#include <thread>

#include "support/temp_dir.h"
#include "test_peer.h"

namespace homelab::http {
namespace {

using homelab::test::TempDir;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

/// The engine's side of a Unix socket, served by hand by the test.
class UnixPeer {
 public:
  explicit UnixPeer(std::string path)
      : path_(std::move(path)), listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.c_str(), path_.size() + 1);
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.get(), 8) != 0)
      throw std::runtime_error("test peer cannot listen on " + path_);
  }
  void accept() { peer_ = os::UniqueFd(::accept(listener_.get(), nullptr, nullptr)); }
  std::string read_head() {
    std::string head;
    char c = 0;
    while (head.find("\r\n\r\n") == std::string::npos && ::recv(peer_.get(), &c, 1, 0) == 1)
      head += c;
    return head;
  }
  std::string read_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    ssize_t const got = ::recv(peer_.get(), bytes.data(), count, MSG_WAITALL);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }
  void send(std::string_view bytes) {
    if (::send(peer_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0)
      throw std::runtime_error("the client has left");
  }
  void hang_up() { peer_.reset(); }
  /// True when the client has closed its side.
  bool client_closed() {
    pollfd waiting{peer_.get(), POLLIN, 0};
    char c = 0;
    return ::poll(&waiting, 1, 10000) == 1 && ::recv(peer_.get(), &c, 1, 0) <= 0;
  }
  [[nodiscard]] std::string const& path() const { return path_; }

 private:
  std::string path_;
  os::UniqueFd listener_;
  os::UniqueFd peer_;
};

/// An exchange whose callbacks write into promises.
struct Watched {
  LocalCallbacks callbacks() {
    LocalCallbacks made;
    made.on_head = [this](int code, Headers const& fields) {
      headers = fields;
      status.set_value(code);
    };
    made.on_data = [this](std::string_view bytes) {
      std::lock_guard const guard(mutex);
      pieces.emplace_back(bytes);
      changed.notify_all();
    };
    made.on_done = [this](Status ended) { done.set_value(std::move(ended)); };
    return made;
  }
  std::string wait_for_piece(std::size_t index) {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, std::chrono::seconds(20), [&] { return pieces.size() > index; }))
      throw std::runtime_error("no piece came");
    return pieces[index];
  }
  Headers headers;
  std::promise<int> status;
  std::promise<Status> done;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> pieces;
};

struct LocalClient : testing::Test {
  TempDir folder;
  UnixPeer peer{folder / "engine.sock"};
  IoLoops loops{2};

  LocalRequest request(std::string target = "/health") {
    LocalRequest made;
    made.socket_path = peer.path();
    made.target = std::move(target);
    return made;
  }
};

TEST_F(LocalClient, SendsMethodFieldsAndBody) {
  LocalRequest asked = request("/completion");
  asked.method = "POST";
  asked.headers.add("Content-Type", "application/json");
  asked.body = R"({"prompt":"x"})";
  Watched watched;
  auto const exchange = start_local(loops, asked, watched.callbacks());
  peer.accept();
  std::string const head = peer.read_head();
  EXPECT_THAT(head, StartsWith("POST /completion HTTP/1.1\r\nHost: localhost\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nContent-Length: 14\r\n"));
  EXPECT_EQ(peer.read_bytes(14), asked.body);
  peer.send("HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_TRUE(watched.done.get_future().get());
  EXPECT_EQ(watched.status.get_future().get(), 201);
  EXPECT_EQ(watched.headers.find("x-a"), "b");
  EXPECT_EQ(watched.wait_for_piece(0), "ok");
}

TEST_F(LocalClient, GivesEveryChunkOnTheSpot) {
  Watched watched;
  auto const exchange = start_local(loops, request(), watched.callbacks());
  peer.accept();
  peer.read_head();
  peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(watched.status.get_future().get(), 200);
  for (std::size_t i = 0; i < 5; ++i) {
    std::string const piece = "token" + std::to_string(i);
    peer.send("6\r\n" + piece + "\r\n");
    EXPECT_EQ(watched.wait_for_piece(i), piece);
  }
  peer.send("0\r\n\r\n");
  EXPECT_TRUE(watched.done.get_future().get());
}

TEST_F(LocalClient, ReadsAnEmptyChunkedAnswerByteByByte) {
  Watched watched;
  auto const exchange = start_local(loops, request(), watched.callbacks());
  peer.accept();
  peer.read_head();
  std::string const answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  for (char const c : answer) peer.send(std::string_view(&c, 1));
  EXPECT_TRUE(watched.done.get_future().get());
  EXPECT_TRUE(watched.pieces.empty());
}

TEST_F(LocalClient, TakesABodyThatEndsWithTheConnection) {
  Watched watched;
  auto const exchange = start_local(loops, request(), watched.callbacks());
  peer.accept();
  peer.read_head();
  peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
  peer.hang_up();
  EXPECT_TRUE(watched.done.get_future().get());
  EXPECT_EQ(watched.wait_for_piece(0), "until the end");
}

TEST_F(LocalClient, NoticesAnEngineThatDiesInTheMiddle) {
  for (char const* part : {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"}) {
    Watched watched;
    auto const exchange = start_local(loops, request(), watched.callbacks());
    peer.accept();
    peer.read_head();
    peer.send(part);
    peer.hang_up();
    auto const status = watched.done.get_future().get();
    ASSERT_FALSE(status) << part;
    EXPECT_EQ(status.error().code, Code::kUnavailable);
    EXPECT_THAT(status.error().message, HasSubstr("ended early"));
    EXPECT_THAT(status.error().message, HasSubstr("engine.sock"));
  }
}

TEST_F(LocalClient, CallsWhatIsNoHttpDataLoss) {
  Watched watched;
  auto const exchange = start_local(loops, request(), watched.callbacks());
  peer.accept();
  peer.read_head();
  peer.send("complete garbage\r\n\r\n");
  auto const status = watched.done.get_future().get();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kDataLoss);
}

TEST_F(LocalClient, CancelClosesTheSocketAtOnce) {
  Watched watched;
  auto const exchange = start_local(loops, request(), watched.callbacks());
  peer.accept();
  peer.read_head();
  peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
  watched.wait_for_piece(0);
  exchange->cancel();
  exchange->cancel();
  EXPECT_TRUE(peer.client_closed());
  auto const status = watched.done.get_future().get();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kCancelled);
}

TEST_F(LocalClient, CancelsBeforeTheConnectionIsMade) {
  Watched watched;
  auto const exchange = start_local(loops, request(), watched.callbacks());
  exchange->cancel();
  EXPECT_EQ(watched.done.get_future().get().error().code, Code::kCancelled);
}

TEST_F(LocalClient, DroppingThePointerDoesNotCancel) {
  Watched watched;
  (void)start_local(loops, request(), watched.callbacks());
  peer.accept();
  peer.read_head();
  peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_TRUE(watched.done.get_future().get());
}

TEST_F(LocalClient, EndsWhenNoByteComesForTooLong) {
  LocalRequest asked = request();
  asked.idle_timeout = std::chrono::milliseconds(50);
  Watched watched;
  auto const exchange = start_local(loops, asked, watched.callbacks());
  auto const status = watched.done.get_future().get();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kDeadlineExceeded);
}

TEST_F(LocalClient, NamesASocketThatNobodyListensOn) {
  LocalRequest asked = request();
  asked.socket_path = folder / "absent.sock";
  auto const response = fetch_local(loops, asked, 1000);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::kUnavailable);
  EXPECT_THAT(response.error().message, HasSubstr("absent.sock"));
}

TEST_F(LocalClient, RefusesWhatCannotBeSent) {
  LocalRequest asked = request();
  asked.socket_path = std::string(200, 'x');
  EXPECT_EQ(fetch_local(loops, asked, 10).error().code, Code::kInvalidArgument);
  asked = request("/a b");
  EXPECT_EQ(fetch_local(loops, asked, 10).error().code, Code::kInvalidArgument);
  asked = request();
  asked.headers.add("x", "a\r\nb");
  EXPECT_EQ(fetch_local(loops, asked, 10).error().code, Code::kInvalidArgument);
}

TEST_F(LocalClient, FetchesASmallAnswerAndRefusesALargerOne) {
  std::thread engine([this] {
    for (int i = 0; i < 2; ++i) {
      peer.accept();
      peer.read_head();
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}");
    }
  });
  auto const response = fetch_local(loops, request(), 15);
  auto const refused = fetch_local(loops, request(), 14);
  engine.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, R"({"status":"ok"})");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
}

TEST_F(LocalClient, AHeadRequestHasNoBody) {
  LocalRequest asked = request();
  asked.method = "HEAD";
  Watched watched;
  auto const exchange = start_local(loops, asked, watched.callbacks());
  peer.accept();
  peer.read_head();
  peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
  EXPECT_TRUE(watched.done.get_future().get());
}

TEST_F(LocalClient, TellsEveryCallerWhenTheLoopsEnd) {
  Watched watched;
  std::shared_ptr<LocalExchange> exchange;
  {
    IoLoops short_lived(1);
    exchange = start_local(short_lived, request(), watched.callbacks());
    peer.accept();
    peer.read_head();
  }
  EXPECT_EQ(watched.done.get_future().get().error().code, Code::kCancelled);
  exchange->cancel();
}

TEST_F(LocalClient, PassesAnEngineStreamThroughTheServerAndStopsItWhenTheClientLeaves) {
  Router router;
  router.add("GET", "/", [this](Request const&) -> Reply {
    StreamReply reply;
    reply.start = [this](std::shared_ptr<StreamChannel> channel) {
      LocalCallbacks callbacks;
      callbacks.on_data = [channel](std::string_view bytes) { channel->write(std::string(bytes)); };
      callbacks.on_done = [channel](Status const& status) { channel->close(status.has_value()); };
      auto const exchange = start_local(loops, request("/stream"), std::move(callbacks));
      channel->on_client_gone([exchange] { exchange->cancel(); });
    };
    return reply;
  });
  ServerOptions options;
  options.port = 0;
  auto const server = Server::start(loops, options, std::move(router));
  ASSERT_TRUE(server);
  auto client = std::make_unique<test::RawClient>((*server)->port());
  client->send(test::get("/"));
  peer.accept();
  peer.read_head();
  peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  EXPECT_THAT(client->read_until("hello"), EndsWith("5\r\nhello"));
  client.reset();
  EXPECT_TRUE(peer.client_closed());
}

}  // namespace
}  // namespace homelab::http
