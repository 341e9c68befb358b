#include "api/model_feed.h"

#include <gtest/gtest.h>

#include "fakes.h"

namespace homelab::api {
namespace {

using engine::ModelChange;
using test::ApiFixture;
using State = ModelChange::State;

/// A client of GET /models/sse.
struct Client {
  explicit Client(ApiFixture& api) {
    auto reply = api.send("GET", "/models/sse");
    auto const& stream = std::get<http::StreamReply>(reply);
    type = stream.headers.find("content-type").value_or("");
    stream.start(channel);
  }
  std::string type;
  std::shared_ptr<test::FakeChannel> channel = std::make_shared<test::FakeChannel>();
};

TEST(ModelFeed, tells_of_a_load_in_llama_cpps_words) {
  ApiFixture api;
  Client const client(api);
  EXPECT_EQ(client.type, "text/event-stream; charset=utf-8");
  api.feed.model_changed({"m", State::kLoading});
  api.feed.model_changed({"m", State::kLoaded});
  api.feed.model_changed({"m", State::kUnloaded});
  EXPECT_EQ(
      client.channel->text,
      R"(data: {"model":"m","event":"model_status","data":{"status":"loading"}})"
      "\n\n"
      R"(data: {"model":"m","event":"status_change","data":{"status":"loaded",)"
      R"("info":{"id":"m","object":"model"}}})"
      "\n\n"
      R"(data: {"model":"m","event":"status_change","data":{"status":"unloaded","exit_code":0}})"
      "\n\n");
}

TEST(ModelFeed, says_why_a_model_has_gone) {
  ApiFixture api;
  Client const client(api);
  api.feed.model_changed({"m", State::kUnloaded, "out of memory"});
  EXPECT_EQ(client.channel->text,
            R"(data: {"model":"m","event":"status_change","data":{"status":"unloaded",)"
            R"("exit_code":1,"error":"out of memory"}})"
            "\n\n");
}

TEST(ModelFeed, tells_of_registered_and_deleted_models) {
  ApiFixture api;
  Client const client(api);
  EXPECT_EQ(api.ask("POST", "/api/models", R"({"model_name":"m","hf_path":"org/m"})").status, 201);
  EXPECT_EQ(client.channel->text, "data: {\"model\":\"*\",\"event\":\"models_reload\"}\n\n");
  client.channel->text.clear();
  EXPECT_EQ(api.ask("DELETE", "/api/models/m").status, 200);
  EXPECT_EQ(client.channel->text, "data: {\"model\":\"m\",\"event\":\"model_remove\"}\n\n");
  client.channel->text.clear();
  EXPECT_EQ(api.ask("DELETE", "/api/models/m").status, 404);
  EXPECT_EQ(client.channel->text, "");
}

TEST(ModelFeed, shows_that_it_is_alive_while_nothing_happens) {
  ApiFixture api;
  Client const client(api);
  api.timers.pass(std::chrono::seconds(10));
  EXPECT_EQ(client.channel->text, ": ping\n\n");
}

TEST(ModelFeed, a_client_that_leaves_is_forgotten_at_once) {
  ApiFixture api;
  Client const first(api);
  Client const second(api);
  EXPECT_EQ(api.feed.watchers(), 2U);
  first.channel->on_gone();
  EXPECT_EQ(api.feed.watchers(), 1U);
  EXPECT_EQ(api.timers.waiting(), 1U);
  second.channel->gone = true;  // or reads nothing: the channel takes no more
  api.feed.list_changed();
  EXPECT_EQ(api.feed.watchers(), 0U);
  EXPECT_EQ(api.timers.waiting(), 0U);
}

TEST(ModelFeed, one_that_left_before_its_stream_began_is_forgotten_too) {
  ApiFixture api;
  auto reply = api.send("GET", "/models/sse");
  auto const channel = std::make_shared<test::FakeChannel>();
  channel->gone = true;
  std::get<http::StreamReply>(reply).start(channel);
  EXPECT_EQ(api.feed.watchers(), 0U);
}

TEST(ModelFeed, ends_its_streams_when_the_server_stops) {
  ApiFixture api;
  Client const client(api);
  api.feed.close();
  EXPECT_EQ(client.channel->closed, "properly");
  EXPECT_EQ(api.feed.watchers(), 0U);
  Client const late(api);
  EXPECT_EQ(late.channel->closed, "properly");
  EXPECT_EQ(api.feed.watchers(), 0U);
}

engine::JobView load_of(std::string const& model, std::string const& state) {
  engine::JobView job;
  job.model = model;
  job.state = state;
  return job;
}

TEST(ModelStates, the_list_says_which_models_failed) {
  ApiFixture api;
  api.add_row("m", "org/m");
  auto const status = [&] {
    return json::serialize(test::json_of(api.ask("GET", "/models"))
                               .as_object()
                               .at("data")
                               .as_array()
                               .at(0)
                               .at("status"));
  };
  api.engines.job_list = {load_of("m", "failed"), load_of("m", "done")};
  EXPECT_EQ(status(), R"({"value":"unloaded","failed":true,"exit_code":1})");
  api.engines.job_list.insert(api.engines.job_list.begin(), load_of("m", "starting"));
  EXPECT_EQ(status(), R"({"value":"loading"})");
  api.engines.job_list.front().state = "cancelled";
  EXPECT_EQ(status(), R"({"value":"unloaded"})");
  EXPECT_EQ(test::json_of(api.ask("GET", "/v1/models")), test::json_of(api.ask("GET", "/models")));
}

}  // namespace
}  // namespace homelab::api
