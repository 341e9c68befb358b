// Streams whose engine is silent: the client gets a sign of life, from the time it waits in line.
#include <gtest/gtest.h>

#include "fakes.h"
#include "quiet_watch.h"

namespace homelab::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::ApiFixture;
using test::FakeTimers;

constexpr std::string_view kPing = ": ping\n\n";
constexpr std::string_view kAnthropicPing = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

http::Headers type(std::string_view value) {
  http::Headers headers;
  headers.set("Content-Type", value);
  return headers;
}

std::string twice(std::string_view text) { return std::string(text) + std::string(text); }

TEST(QuietWatch, speaks_each_time_that_nothing_was_heard_for_the_interval) {
  FakeTimers timers;
  int spoken = 0;
  auto const watch = std::make_shared<QuietWatch>(timers, seconds(10), [&] { ++spoken; });
  watch->start();
  timers.pass(milliseconds(9999));
  EXPECT_EQ(spoken, 0);
  timers.pass(milliseconds(1));
  EXPECT_EQ(spoken, 1);
  timers.pass(seconds(25));
  EXPECT_EQ(spoken, 3);
}

TEST(QuietWatch, counts_from_what_was_heard_last) {
  FakeTimers timers;
  int spoken = 0;
  auto const watch = std::make_shared<QuietWatch>(timers, seconds(10), [&] { ++spoken; });
  watch->start();
  for (int i = 0; i < 5; ++i) {
    timers.pass(seconds(6));
    watch->heard();
  }
  EXPECT_EQ(spoken, 0);
  timers.pass(seconds(9));
  EXPECT_EQ(spoken, 0);
  timers.pass(seconds(1));
  EXPECT_EQ(spoken, 1);
}

TEST(QuietWatch, says_nothing_after_its_end_and_leaves_no_timer_behind) {
  FakeTimers timers;
  int spoken = 0;
  auto watch = std::make_shared<QuietWatch>(timers, seconds(10), [&] { ++spoken; });
  watch->start();
  watch->stop();
  EXPECT_EQ(timers.waiting(), 0U);
  timers.pass(seconds(30));
  watch = std::make_shared<QuietWatch>(timers, seconds(10), [&] { ++spoken; });
  watch->start();
  watch = nullptr;
  timers.pass(seconds(30));
  EXPECT_EQ(spoken, 0);
}

TEST(QuietWatch, interval_zero_means_never) {
  FakeTimers timers;
  int spoken = 0;
  auto const watch = std::make_shared<QuietWatch>(timers, seconds(0), [&] { ++spoken; });
  watch->start();
  EXPECT_EQ(timers.waiting(), 0U);
}

TEST(Pings, a_stream_that_waits_for_its_model_begins_with_signs_of_life) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.send("POST", "/v1/chat/completions", R"({"model":"m","stream":true})");
  api.timers.pass(milliseconds(9999));
  EXPECT_FALSE(api.pending->stream);
  api.timers.pass(milliseconds(10001));
  ASSERT_TRUE(api.pending->stream);
  EXPECT_EQ(api.pending->stream->headers.find("content-type"), "text/event-stream");
  api.pending->attach();
  EXPECT_EQ(api.pending->channel->text, twice(kPing));
  api.engines.exchange.on_head(200, type("text/event-stream"));
  api.engines.exchange.on_data("data: {}\n\n");
  api.engines.exchange.on_done({});
  EXPECT_EQ(api.pending->channel->text, twice(kPing) + "data: {}\n\n");
  EXPECT_EQ(api.pending->channel->closed, "properly");
  EXPECT_EQ(api.pending->completions, 1);
  EXPECT_EQ(api.timers.waiting(), 0U);
}

TEST(Pings, a_silent_prefill_is_filled_and_no_event_is_ever_cut_in_two) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/v1/completions", R"({"stream":true})");
  api.engines.exchange.on_head(200, type("text/event-stream"));
  api.pending->attach();
  api.timers.pass(seconds(10));
  EXPECT_EQ(api.pending->channel->text, kPing);
  api.engines.exchange.on_data("data: {\"a\"");
  api.timers.pass(seconds(30));
  EXPECT_EQ(api.pending->channel->text, std::string(kPing) + "data: {\"a\"");
  api.engines.exchange.on_data(":1}\n");
  api.timers.pass(seconds(30));
  api.engines.exchange.on_data("\n");
  api.timers.pass(seconds(10));
  EXPECT_EQ(api.pending->channel->text,
            std::string(kPing) + "data: {\"a\":1}\n\n" + std::string(kPing));
}

TEST(Pings, anthropics_streams_get_anthropics_event) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/v1/messages", R"({"stream":true})");
  api.timers.pass(seconds(20));
  api.pending->attach();
  EXPECT_EQ(api.pending->channel->text, twice(kAnthropicPing));
}

TEST(Pings, a_refusal_after_the_first_of_them_is_an_event) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.send("POST", "/v1/chat/completions", R"({"model":"m","stream":true})");
  api.timers.pass(seconds(10));
  api.pending->attach();
  api.engines.exchange.on_done(fail(Code::kInternal, "bad tensor"));
  EXPECT_EQ(api.pending->channel->text,
            std::string(kPing) +
                "\n\ndata: {\"error\":{\"message\":\"bad tensor\",\"type\":\"server_error\","
                "\"param\":null,\"code\":null}}\n\n");
  EXPECT_EQ(api.pending->channel->closed, "properly");
}

TEST(Pings, the_cores_own_refusal_is_an_event_then_too) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/v1/responses", R"({"stream":true})");
  api.timers.pass(seconds(10));
  api.pending->attach();
  api.engines.exchange.on_head(400, type("application/json"));
  api.engines.exchange.on_data(
      R"({"error":{"code":400,"message":"too long","type":"exceed_context_size_error"}})");
  api.engines.exchange.on_done({});
  EXPECT_EQ(api.pending->channel->text,
            std::string(kPing) +
                "\n\ndata: {\"error\":{\"message\":\"too long\",\"type\":"
                "\"exceed_context_size_error\",\"param\":null,\"code\":null}}\n\n");
}

TEST(Pings, anthropics_clients_get_the_refusal_as_their_error_event) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.send("POST", "/v1/messages", R"({"model":"m","stream":true})");
  api.timers.pass(seconds(10));
  api.pending->attach();
  api.engines.exchange.on_done(fail(Code::kFailedPrecondition, "marked incompatible"));
  EXPECT_EQ(api.pending->channel->text,
            std::string(kAnthropicPing) +
                "\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                "\"invalid_request_error\",\"message\":\"marked incompatible\"}}\n\n");
}

TEST(Pings, a_refusal_before_the_first_of_them_keeps_its_status) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.send("POST", "/v1/chat/completions", R"({"model":"m","stream":true})");
  api.timers.pass(seconds(9));
  api.engines.exchange.on_done(fail(Code::kFailedPrecondition, "marked incompatible"));
  ASSERT_TRUE(api.pending->response);
  EXPECT_EQ(api.pending->response->status, 400);
  api.timers.pass(seconds(60));
  EXPECT_EQ(api.pending->completions, 1);
}

TEST(Pings, only_streams_have_them) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  for (auto const* body : {R"({})", R"({"stream":false})", R"({"stream":"yes"})"}) {
    api.send("POST", "/v1/chat/completions", body);
    api.timers.pass(seconds(60));
    EXPECT_EQ(api.pending->completions, 0) << body;
  }
  api.send("POST", "/v1/embeddings", R"({"stream":true})");
  api.timers.pass(seconds(60));
  EXPECT_EQ(api.pending->completions, 0);
}

TEST(Pings, a_request_may_choose_the_interval_with_the_cores_own_field) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/v1/completions", R"({"stream":true,"sse_ping_interval":-1})");
  api.timers.pass(seconds(3600));
  EXPECT_EQ(api.pending->completions, 0);
  api.send("POST", "/v1/completions", R"({"stream":true,"sse_ping_interval":2})");
  api.timers.pass(seconds(2));
  EXPECT_EQ(api.pending->completions, 1);
}

TEST(Pings, a_client_that_leaves_while_they_come_stops_its_request) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/v1/completions", R"({"stream":true})");
  api.timers.pass(seconds(10));
  api.pending->attach();
  api.pending->channel->gone = true;
  api.timers.pass(seconds(10));
  EXPECT_TRUE(api.engines.running->cancelled);
}

TEST(Pings, the_originals_stream_has_them_too) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate/stream", R"({"prompt":"Hi"})");
  api.timers.pass(seconds(10));
  api.pending->attach();
  api.engines.generation.on_start(3);
  api.timers.pass(seconds(10));
  api.engines.generation.on_done(fail(Code::kInternal, "lost"));
  EXPECT_EQ(api.pending->channel->text,
            std::string(kPing) + "data: {\"type\":\"start\",\"input_tokens\":3}\n\n" +
                std::string(kPing) + "data: {\"type\":\"error\",\"error\":\"lost\"}\n\n");
}

TEST(Pings, ollamas_lines_have_an_empty_piece_instead) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.send("POST", "/ollama/api/chat",
           R"({"model":"m","messages":[{"role":"user","content":"Hi"}]})");
  api.timers.pass(seconds(10));
  api.pending->attach();
  auto const line = parse_json(api.pending->channel->text);
  ASSERT_TRUE(line) << api.pending->channel->text;
  auto const& object = line->as_object();
  EXPECT_EQ(object.at("model").as_string(), "m");
  EXPECT_EQ(object.at("message").as_object().at("content").as_string(), "");
  EXPECT_FALSE(object.at("done").as_bool());
  api.pending->channel->text.clear();
  api.engines.exchange.on_done(fail(Code::kInternal, "bad tensor"));
  EXPECT_EQ(api.pending->channel->text, "{\"error\":\"bad tensor\"}\n");
  EXPECT_EQ(api.pending->channel->closed, "properly");
}

TEST(Pings, ollamas_whole_answers_have_none) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.send("POST", "/ollama/api/generate", R"({"model":"m","prompt":"Hi","stream":false})");
  api.timers.pass(seconds(60));
  EXPECT_EQ(api.pending->completions, 0);
}

}  // namespace
}  // namespace homelab::api
