#include "shared_answer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <stdexcept>
#include <string>
#include <thread>

#include "replies.h"

namespace homelab::api {
namespace {

/// A client that waits for its answer wherever it comes from.
class Client : public http::Pending {
 public:
  void complete(http::Response response) override {
    body = std::move(response.body);
    ++answers;
    answers.notify_all();
  }
  void complete(http::StreamReply) override { throw std::runtime_error("no stream expected"); }
  void on_client_gone(std::function<void()>) override {}

  static std::string ask(SharedAnswer& shared) {
    auto const client = std::make_shared<Client>();
    auto reply = shared.ask();
    if (auto* response = std::get_if<http::Response>(&reply)) return response->body;
    std::get<http::PendingReply>(reply).start(client);
    client->answers.wait(0);
    return client->body;
  }

  std::string body;
  std::atomic<int> answers = 0;
};

TEST(SharedAnswer, OneQuestionIsAnsweredAtOnce) {
  SharedAnswer shared([] { return text_reply(200, "yes"); });
  auto const reply = shared.ask();
  ASSERT_TRUE(std::holds_alternative<http::Response>(reply));
  EXPECT_EQ(std::get<http::Response>(reply).body, "yes");
}

TEST(SharedAnswer, ManyAtOnceAllGetAnAnswerThatIsNewerThanTheirQuestion) {
  constexpr int kClients = 8;
  constexpr int kQuestions = 200;
  std::atomic<int> begun = 0;
  std::atomic<int> working = 0;
  std::atomic<bool> together = false;
  SharedAnswer shared([&] {
    if (++working > 1) together = true;
    int const number = ++begun;
    std::this_thread::yield();
    --working;
    return text_reply(200, std::to_string(number));
  });
  std::atomic<int> stale = 0;
  std::latch start(kClients);
  std::vector<std::jthread> clients;
  for (int i = 0; i < kClients; ++i)
    clients.emplace_back([&] {
      start.arrive_and_wait();
      for (int question = 0; question < kQuestions; ++question) {
        int const before = begun;
        if (std::stoi(Client::ask(shared)) <= before) ++stale;
      }
    });
  clients.clear();
  EXPECT_EQ(stale, 0);
  EXPECT_FALSE(together);
  EXPECT_LE(begun, kClients * kQuestions);
}

TEST(SharedAnswer, WorkThatBreaksIsAnAnswerToo) {
  int calls = 0;
  SharedAnswer shared([&]() -> http::Response {
    if (++calls == 1) throw std::runtime_error("the disk is gone");
    return text_reply(200, "back");
  });
  auto const broken = std::get<http::Response>(shared.ask());
  EXPECT_EQ(broken.status, 500);
  EXPECT_NE(broken.body.find("the disk is gone"), std::string::npos);
  EXPECT_EQ(std::get<http::Response>(shared.ask()).body, "back");
}

}  // namespace
}  // namespace homelab::api
