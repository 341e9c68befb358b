#include "http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "test_peer.h"

namespace homelab::http {
namespace {

using test::RunningServer;
using test::text;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kLimit = 1 << 20;

std::unique_ptr<Client> make_client() { return Client::create({"test-agent/1", 16, 64}); }

ClientRequest request_for(std::string url) {
  ClientRequest request;
  request.url = std::move(url);
  return request;
}

/// A listening socket that the test serves by hand, one connection at a time.
class RawServer {
 public:
  RawServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_.get(), 8) != 0 ||
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("test server cannot listen");
    port_ = ntohs(address.sin_port);
  }
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/f";
  }

  /// Takes one connection, reads one request head, sends `answer`, closes.
  void serve(std::string_view answer) const {
    os::UniqueFd const peer(::accept(listener_.get(), nullptr, nullptr));
    std::string head;
    char c = 0;
    while (head.find("\r\n\r\n") == std::string::npos && ::recv(peer.get(), &c, 1, 0) == 1)
      head += c;
    if (::send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
  }

 private:
  os::UniqueFd listener_;
  int port_ = 0;
};

/// Answers with what it was asked.
Router mirror_router() {
  Router router;
  auto const echo = [](Request const& request) -> Reply {
    std::string body = request.method + " " + request.target + "\n";
    for (auto const& [name, value] : request.headers.fields()) body += name + ": " + value + "\n";
    return text(body + "\n" + request.body);
  };
  for (char const* method : {"GET", "POST", "PUT", "DELETE"}) router.add(method, "/echo", echo);
  return router;
}

Router redirect_router(std::string target) {
  Router router;
  router.add("GET", "/from", [target](Request const&) -> Reply {
    Response response = text("a body nobody needs", 302);
    response.headers.set("location", target);
    return response;
  });
  return router;
}

TEST(Client, FetchesABodyWithItsHead) {
  RunningServer const server(mirror_router());
  auto const client = make_client();
  ClientRequest request = request_for(server.url("/echo?x=1"));
  request.headers.add("X-Own", "value");
  request.range_from = 5;
  auto const response = client->fetch(request, kLimit);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->headers.find("Content-Type"), "text/plain");
  EXPECT_EQ(response->effective_url, server.url("/echo?x=1"));
  EXPECT_THAT(response->body, HasSubstr("GET /echo?x=1\n"));
  EXPECT_THAT(response->body, HasSubstr("X-Own: value\n"));
  EXPECT_THAT(response->body, HasSubstr("Range: bytes=5-\n"));
  EXPECT_THAT(response->body, HasSubstr("User-Agent: test-agent/1\n"));
}

TEST(Client, SendsABodyWithEveryMethod) {
  RunningServer const server(mirror_router());
  auto const client = make_client();
  for (char const* method : {"POST", "PUT", "DELETE"}) {
    ClientRequest request = request_for(server.url("/echo"));
    request.method = method;
    request.body = std::string("x\0y", 3) + std::string(10000, 'b');
    auto const response = client->fetch(request, kLimit);
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_THAT(response->body, HasSubstr(std::string(method) + " /echo\n"));
    EXPECT_THAT(response->body, testing::EndsWith("\n\n" + request.body));
  }
}

TEST(Client, TreatsEveryHttpStatusAsASuccessOfTheCall) {
  Router router;
  router.add("GET", "/", [](Request const&) -> Reply { return text("gone", 410); });
  RunningServer const server(std::move(router));
  auto const response = make_client()->fetch(request_for(server.url("/")), kLimit);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 410);
  EXPECT_EQ(response->body, "gone");
}

TEST(Client, SendsTheTokenToItsOwnOriginAndAcrossRedirectsThere) {
  Router router = mirror_router();
  router.add("GET", "/from", [](Request const&) -> Reply {
    Response response = text("", 307);
    response.headers.set("location", "/echo");
    return response;
  });
  RunningServer const server(std::move(router));
  ClientRequest request = request_for(server.url("/from"));
  request.bearer_token = "hf_secret";
  auto const response = make_client()->fetch(request, kLimit);
  ASSERT_TRUE(response);
  EXPECT_THAT(response->body, HasSubstr("Authorization: Bearer hf_secret\n"));
  EXPECT_EQ(response->effective_url, server.url("/echo"));
}

TEST(Client, DropsTheTokenWhenARedirectLeadsToAnotherOrigin) {
  RunningServer const other(mirror_router());
  RunningServer const server(redirect_router(other.url("/echo")));
  ClientRequest request = request_for(server.url("/from"));
  request.bearer_token = "hf_secret";
  auto const response = make_client()->fetch(request, kLimit);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->effective_url, other.url("/echo"));
  EXPECT_THAT(response->body, Not(HasSubstr("hf_secret")));
}

TEST(Client, GivesOnlyTheLastHeadAndBodyOfARedirectedTransfer) {
  RunningServer const other(mirror_router());
  RunningServer const server(redirect_router(other.url("/echo")));
  auto const client = make_client();
  std::vector<int> heads;
  std::string body;
  std::promise<Status> done;
  TransferCallbacks callbacks;
  callbacks.on_head = [&](int status, Headers const& headers) {
    heads.push_back(status);
    EXPECT_FALSE(headers.find("location"));
    return true;
  };
  callbacks.on_data = [&](std::span<std::byte const> bytes) {
    body.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    return TransferCallbacks::Flow::kContinue;
  };
  callbacks.on_done = [&](Status status) { done.set_value(std::move(status)); };
  auto const transfer = client->start(request_for(server.url("/from")), callbacks);
  EXPECT_TRUE(done.get_future().get());
  EXPECT_EQ(heads, std::vector<int>{200});
  EXPECT_THAT(body, testing::StartsWith("GET /echo\n"));
}

TEST(Client, GivesTheRedirectItselfWhenNoneMayBeFollowed) {
  RunningServer const server(redirect_router("/elsewhere"));
  ClientRequest request = request_for(server.url("/from"));
  request.max_redirects = 0;
  auto const response = make_client()->fetch(request, kLimit);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 302);
  EXPECT_EQ(response->headers.find("location"), "/elsewhere");
  EXPECT_EQ(response->body, "a body nobody needs");
}

TEST(Client, StopsAtACircleOfRedirects) {
  RunningServer const server(redirect_router("/from"));
  ClientRequest request = request_for(server.url("/from"));
  request.max_redirects = 3;
  auto const response = make_client()->fetch(request, kLimit);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(response.error().message, HasSubstr("more than 3 redirects"));
}

TEST(Client, NeverFollowsARedirectToAFile) {
  RunningServer const server(redirect_router("file:///etc/hostname"));
  auto const response = make_client()->fetch(request_for(server.url("/from")), kLimit);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::kInvalidArgument);
}

TEST(Client, AnswersHeadWithoutWaitingForABody) {
  RawServer const server;
  std::thread peer(
      [&] { server.serve("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nX: y\r\n\r\n"); });
  ClientRequest request = request_for(server.url());
  request.method = "HEAD";
  auto const response = make_client()->fetch(request, kLimit);
  peer.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->headers.find("content-length"), "1000");
  EXPECT_EQ(response->body, "");
}

TEST(Client, SkipsInterimAnswers) {
  RawServer const server;
  std::thread peer([&] {
    server.serve(
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
        "2\r\n\r\nok");
  });
  auto const response = make_client()->fetch(request_for(server.url()), kLimit);
  peer.join();
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->headers.find("link"), std::nullopt);
}

TEST(Client, CallsABodyThatEndsEarlyUnavailable) {
  for (char const* answer : {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf"}) {
    RawServer const server;
    std::thread peer([&] { server.serve(answer); });
    auto const response = make_client()->fetch(request_for(server.url()), kLimit);
    peer.join();
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, Code::kUnavailable);
    EXPECT_THAT(response.error().message, HasSubstr("ended early"));
  }
}

TEST(Client, NamesTheHostButNeverTokenOrQueryInAnError) {
  std::string url;
  {
    RawServer const closed;
    url = closed.url();
  }
  ClientRequest request = request_for(url + "?signature=very-secret");
  request.bearer_token = "hf_secret";
  auto const response = make_client()->fetch(request, kLimit);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::kUnavailable);
  EXPECT_THAT(response.error().message, HasSubstr("127.0.0.1"));
  EXPECT_THAT(response.error().message, Not(HasSubstr("secret")));
}

TEST(Client, RefusesWhatItCannotSendSafely) {
  auto const client = make_client();
  ClientRequest request = request_for("http://127.0.0.1:1/");
  request.bearer_token = "a\r\nX: y";
  EXPECT_EQ(client->fetch(request, kLimit).error().code, Code::kInvalidArgument);
  request = request_for("http://127.0.0.1:1/");
  request.headers.add("X", "a\nb");
  EXPECT_EQ(client->fetch(request, kLimit).error().code, Code::kInvalidArgument);
  for (char const* url : {"", "file:///etc/hostname", "ftp://127.0.0.1/", "http://"}) {
    auto const response = client->fetch(request_for(url), kLimit);
    ASSERT_FALSE(response) << url;
    EXPECT_EQ(response.error().code, Code::kInvalidArgument) << url;
  }
}

TEST(Client, StopsABodyAboveTheLimit) {
  Router router;
  router.add("GET", "/", [](Request const&) -> Reply { return text(std::string(100000, 'x')); });
  RunningServer const server(std::move(router));
  auto const client = make_client();
  auto const response = client->fetch(request_for(server.url("/")), 99999);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(client->fetch(request_for(server.url("/")), 100000));
}

TEST(Client, EndsATransferThatStalls) {
  Router router;
  std::vector<std::shared_ptr<StreamChannel>> open;
  router.add("GET", "/", [&](Request const&) -> Reply {
    StreamReply reply;
    reply.start = [&](std::shared_ptr<StreamChannel> channel) {
      channel->write("begin");
      open.push_back(std::move(channel));
    };
    return reply;
  });
  RunningServer const server(std::move(router));
  ClientRequest request = request_for(server.url("/"));
  request.stall_timeout = std::chrono::seconds(1);
  auto const response = make_client()->fetch(request, kLimit);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::kDeadlineExceeded);
}

TEST(Client, StopsABlockingCallWhenAskedTo) {
  Router router;
  std::vector<std::shared_ptr<StreamChannel>> open;
  router.add("GET", "/", [&](Request const&) -> Reply {
    StreamReply reply;
    reply.start = [&](std::shared_ptr<StreamChannel> channel) {
      open.push_back(std::move(channel));
    };
    return reply;
  });
  RunningServer const server(std::move(router));
  auto const response =
      make_client()->fetch(request_for(server.url("/")), kLimit, [] { return true; });
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::kCancelled);
}

/// Callbacks that count and remember, for transfers that the test steers.
struct Steered {
  TransferCallbacks callbacks() {
    TransferCallbacks made;
    made.on_head = [this](int, Headers const&) { return take_head; };
    made.on_data = [this](std::span<std::byte const> bytes) {
      std::lock_guard const guard(mutex);
      if (pause_next) {
        pause_next = false;
        paused.set_value();
        return TransferCallbacks::Flow::kPause;
      }
      body.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
      return flow;
    };
    made.on_done = [this](Status status) {
      ++done_calls;
      done.set_value(std::move(status));
    };
    return made;
  }
  bool take_head = true;
  bool pause_next = false;
  TransferCallbacks::Flow flow = TransferCallbacks::Flow::kContinue;
  std::mutex mutex;
  std::string body;
  std::promise<void> paused;
  std::promise<Status> done;
  std::atomic<int> done_calls{0};
};

Router large_router(std::string const& content) {
  Router router;
  router.add("GET", "/", [&content](Request const&) -> Reply { return text(content); });
  return router;
}

TEST(Client, GivesTheSameBytesAgainAfterAPause) {
  std::string content(5 * 1000 * 1000, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 31 % 127);
  RunningServer const server(large_router(content));
  Steered steered;
  steered.pause_next = true;
  auto const client = make_client();
  auto const transfer = client->start(request_for(server.url("/")), steered.callbacks());
  steered.paused.get_future().get();
  transfer->resume();
  transfer->resume();
  EXPECT_TRUE(steered.done.get_future().get());
  EXPECT_TRUE(steered.body == content);
}

TEST(Client, CanPauseAgainAndAgain) {
  std::string const content(3 * 1000 * 1000, 'p');
  RunningServer const server(large_router(content));
  auto const client = make_client();
  std::size_t received = 0;
  int calls = 0;
  std::promise<Status> done;
  std::mutex mutex;
  std::condition_variable changed;
  int pauses = 0;
  bool finished = false;
  TransferCallbacks callbacks;
  callbacks.on_data = [&](std::span<std::byte const> bytes) {
    if (++calls % 3 == 0) {
      std::lock_guard const guard(mutex);
      ++pauses;
      changed.notify_all();
      return TransferCallbacks::Flow::kPause;
    }
    received += bytes.size();
    return TransferCallbacks::Flow::kContinue;
  };
  callbacks.on_done = [&](Status status) {
    {
      std::lock_guard const guard(mutex);
      finished = true;
      changed.notify_all();
    }
    done.set_value(std::move(status));
  };
  auto const transfer = client->start(request_for(server.url("/")), callbacks);
  for (int seen = 0;;) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return pauses > seen || finished; });
    if (finished) break;
    seen = pauses;
    lock.unlock();
    transfer->resume();
  }
  EXPECT_TRUE(done.get_future().get());
  EXPECT_EQ(received, content.size());
  EXPECT_GT(pauses, 10);
}

TEST(Client, CancelsAPausedTransfer) {
  std::string const content(1000 * 1000, 'x');
  RunningServer const server(large_router(content));
  Steered steered;
  steered.pause_next = true;
  auto const client = make_client();
  auto const transfer = client->start(request_for(server.url("/")), steered.callbacks());
  steered.paused.get_future().get();
  transfer->cancel();
  auto const status = steered.done.get_future().get();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::kCancelled);
  transfer->cancel();
  transfer->resume();
  EXPECT_EQ(steered.done_calls, 1);
}

TEST(Client, EndsWithCancelledWhenACallbackStopsTheTransfer) {
  std::string const content(1000 * 1000, 'x');
  RunningServer const server(large_router(content));
  auto const client = make_client();
  Steered at_head;
  at_head.take_head = false;
  auto const first = client->start(request_for(server.url("/")), at_head.callbacks());
  EXPECT_EQ(at_head.done.get_future().get().error().code, Code::kCancelled);
  EXPECT_EQ(at_head.body, "");
  Steered at_data;
  at_data.flow = TransferCallbacks::Flow::kAbort;
  auto const second = client->start(request_for(server.url("/")), at_data.callbacks());
  EXPECT_EQ(at_data.done.get_future().get().error().code, Code::kCancelled);
}

TEST(Client, RunsAStartFromInsideACallback) {
  RunningServer const server(mirror_router());
  auto const client = make_client();
  std::promise<Status> second_done;
  TransferCallbacks callbacks;
  callbacks.on_done = [&](Status) {
    TransferCallbacks inner;
    inner.on_done = [&](Status status) { second_done.set_value(std::move(status)); };
    (void)client->start(request_for(server.url("/echo")), std::move(inner));
  };
  (void)client->start(request_for(server.url("/echo")), std::move(callbacks));
  EXPECT_TRUE(second_done.get_future().get());
}

TEST(Client, EndsEveryTransferWhenItGoes) {
  Router router;
  std::mutex mutex;
  std::vector<std::shared_ptr<StreamChannel>> open;
  router.add("GET", "/", [&](Request const&) -> Reply {
    StreamReply reply;
    reply.start = [&](std::shared_ptr<StreamChannel> channel) {
      std::lock_guard const guard(mutex);
      open.push_back(std::move(channel));
    };
    return reply;
  });
  RunningServer const server(std::move(router));
  std::atomic<int> ended{0};
  auto client = Client::create({"t", 2, 2});
  std::vector<std::shared_ptr<Transfer>> transfers;
  for (int i = 0; i < 5; ++i) {
    TransferCallbacks callbacks;
    callbacks.on_done = [&](Status const& status) {
      EXPECT_EQ(status.error().code, Code::kCancelled);
      ++ended;
    };
    transfers.push_back(client->start(request_for(server.url("/")), std::move(callbacks)));
  }
  client.reset();
  EXPECT_EQ(ended, 5);
  transfers.front()->cancel();
  transfers.front()->resume();
  EXPECT_EQ(ended, 5);
}

TEST(Client, ManyThreadsShareOneClient) {
  RunningServer const server(mirror_router());
  auto const client = Client::create({"t", 4, 8});
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 25; ++n) {
        auto const response = client->fetch(request_for(server.url("/echo")), kLimit);
        if (response && response->status == 200) ++good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 200);
}

}  // namespace
}  // namespace homelab::http
