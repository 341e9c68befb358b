#include "chat_history.h"

#include <gtest/gtest.h>

namespace homelab::cli {
namespace {

std::vector<std::string> roles(ChatHistory const& history) {
  std::vector<std::string> out;
  auto const body = history.request("m", {});
  for (auto const& message : body.at("messages").as_array())
    out.emplace_back(message.at("role").as_string());
  return out;
}

TEST(ChatHistory, SendsTheWholeConversation) {
  ChatHistory history("be brief");
  history.user_says("a");
  history.model_says("b");
  history.user_says("c");
  EXPECT_EQ(roles(history), (std::vector<std::string>{"system", "user", "assistant", "user"}));
  EXPECT_EQ(history.request("m", {}).at("model").as_string(), "m");
  EXPECT_TRUE(history.request("m", {}).at("stream").as_bool());
}

TEST(ChatHistory, ForgetsAMessageWhoseAnswerWasCutShort) {
  ChatHistory history("");
  history.user_says("a");
  history.forget_last();
  EXPECT_TRUE(roles(history).empty());
  history.forget_last();
  EXPECT_TRUE(roles(history).empty());
}

TEST(ChatHistory, KeepsTheSystemMessageWhenCleared) {
  ChatHistory history("s");
  history.user_says("a");
  history.clear();
  EXPECT_EQ(roles(history), (std::vector<std::string>{"system"}));
}

TEST(ChatHistory, ForgetsTheOldestExchangesWhenItGrowsTooLong) {
  ChatHistory history("s", 100);
  for (int i = 0; i < 50; ++i) {
    history.user_says(std::string(10, 'u'));
    history.model_says(std::string(20, 'm'));
  }
  auto const left = roles(history);
  EXPECT_EQ(left.size(), 7U);
  EXPECT_EQ(left[0], "system");
  EXPECT_EQ(left[1], "user") << "a conversation begins with the user";
}

TEST(ChatHistory, KeepsTheNewestMessageHoweverLongItIs) {
  ChatHistory history("", 10);
  history.user_says(std::string(1000, 'x'));
  EXPECT_EQ(roles(history), (std::vector<std::string>{"user"}));
}

TEST(ChatHistory, SendsOnlyTheSamplingThatWasAskedFor) {
  ChatHistory const history("");
  auto const plain = history.request("m", {});
  EXPECT_FALSE(plain.contains("temperature"));
  EXPECT_FALSE(plain.contains("max_tokens"));
  SamplingOptions sampling;
  sampling.max_tokens = 5;
  sampling.temperature = 0.5;
  sampling.top_p = 0.25;
  auto body = history.request("m", sampling);
  EXPECT_EQ(body.at("max_tokens").as_int64(), 5);
  EXPECT_DOUBLE_EQ(body.at("temperature").as_double(), 0.5);
  EXPECT_DOUBLE_EQ(body.at("top_p").as_double(), 0.25);
  sampling.greedy = true;
  body = history.request("m", sampling);
  EXPECT_EQ(body.at("temperature").as_int64(), 0) << "greedy wins over a temperature";
}

}  // namespace
}  // namespace homelab::cli
