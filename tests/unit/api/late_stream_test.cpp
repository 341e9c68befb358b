#include "late_stream.h"

#include <gtest/gtest.h>

#include <thread>

#include "fakes.h"

namespace homelab::api {
namespace {

using test::FakeChannel;

TEST(LateStream, keeps_what_comes_before_the_channel) {
  auto const stream = std::make_shared<LateStream>(nullptr);
  stream->write("a");
  stream->write("b");
  stream->close(true);
  auto const channel = std::make_shared<FakeChannel>();
  stream->starter()(channel);
  EXPECT_EQ(channel->text, "ab");
  EXPECT_EQ(channel->closed, "properly");
}

TEST(LateStream, gives_up_when_nobody_takes_what_waits) {
  int gone = 0;
  auto const stream = std::make_shared<LateStream>([&gone] { ++gone; });
  for (int i = 0; i < 5; ++i) stream->write(std::string(1 << 20, 'x'));
  EXPECT_GE(gone, 1);
  auto const channel = std::make_shared<FakeChannel>();
  stream->starter()(channel);
  EXPECT_EQ(channel->closed, "broken");
}

TEST(LateStream, may_be_closed_from_inside_a_write) {
  std::shared_ptr<LateStream> stream;
  stream = std::make_shared<LateStream>([&stream] { stream->close(false); });
  auto const channel = std::make_shared<FakeChannel>();
  stream->starter()(channel);
  channel->gone = true;
  stream->write("x");
  EXPECT_EQ(channel->closed, "broken");
}

TEST(LateStream, keeps_the_order_of_pieces_while_the_channel_arrives) {
  for (int round = 0; round < 50; ++round) {
    auto const stream = std::make_shared<LateStream>(nullptr);
    auto const channel = std::make_shared<FakeChannel>();
    std::thread writer([&] {
      for (char c = 'a'; c <= 'z'; ++c) stream->write(std::string(1, c));
      stream->close(true);
    });
    stream->starter()(channel);
    writer.join();
    EXPECT_EQ(channel->text, "abcdefghijklmnopqrstuvwxyz");
    EXPECT_EQ(channel->closed, "properly");
  }
}

}  // namespace
}  // namespace homelab::api
