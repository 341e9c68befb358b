#include <gtest/gtest.h>

#include "fakes.h"

namespace homelab::api {
namespace {

using test::ApiFixture;
using test::detail_of;
using test::json_of;

constexpr auto kHello = R"({"messages":[{"role":"user","content":"Hi"}],"top_k":3})";

engine::GenerateStats stats() {
  engine::GenerateStats out;
  out.input_tokens = 3;
  out.output_tokens = 2;
  out.inference_ms = 1000;
  return out;
}

/// The engine's answer to /apply-template.
void apply(ApiFixture& api, std::string const& body, int status = 200) {
  api.engines.exchange.on_head(status, {});
  api.engines.exchange.on_data(body);
  api.engines.exchange.on_done({});
}

TEST(Chat, the_models_template_makes_the_prompt) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/chat", kHello);
  EXPECT_EQ(api.engines.forwarded,
            R"(POST /apply-template {"messages":[{"role":"user","content":"Hi"}]})");
  apply(api, R"({"prompt":"<user>Hi<assistant>"})");
  EXPECT_EQ(api.engines.generate_request.prompt, "<user>Hi<assistant>");
  EXPECT_EQ(api.engines.generate_request.parameters, (json::object{{"top_k", 3}}));
  api.engines.generation.on_text("Hello");
  api.engines.generation.on_done(stats());
  auto const body = json_of(*api.pending->response).as_object();
  EXPECT_EQ(body.at("message"), (json::object{{"role", "assistant"}, {"content", "Hello"}}));
  EXPECT_EQ(body.at("generated_text"), "Hello") << "without what the template made";
  EXPECT_EQ(body.at("total_tokens"), 5);
}

TEST(Chat, streams_the_events_of_a_generation) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/chat/stream", kHello);
  apply(api, R"({"prompt":"<user>Hi<assistant>"})");
  api.engines.generation.on_start(3);
  api.pending->attach();
  api.engines.generation.on_text("Hello");
  api.engines.generation.on_done(stats());
  EXPECT_TRUE(api.pending->channel->text.starts_with("data: {\"type\":\"start\""));
  EXPECT_NE(api.pending->channel->text.find("\"text\":\"Hello\""), std::string::npos);
  EXPECT_EQ(api.pending->channel->closed, "properly");
}

TEST(Chat, hands_options_to_the_template) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/chat",
           R"({"messages":[{"role":"user","content":""}],)"
           R"("chat_template_kwargs":{"enable_thinking":false}})");
  EXPECT_NE(api.engines.forwarded.find(R"("chat_template_kwargs":{"enable_thinking":false})"),
            std::string::npos);
}

TEST(Chat, messages_that_the_template_refuses_are_the_callers_affair) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  for (auto const* path : {"/api/chat", "/api/chat/stream"}) {
    api.send("POST", path, kHello);
    apply(api, R"({"error":{"code":500,"message":"roles must alternate"}})", 500);
    EXPECT_EQ(api.pending->response->status, 400);
    EXPECT_EQ(detail_of(*api.pending->response), "roles must alternate");
  }
}

TEST(Chat, refuses_bad_messages_before_it_asks_for_a_model) {
  ApiFixture api;
  for (auto const* body :
       {R"({})", R"({"messages":[]})", R"({"messages":"x"})", R"({"messages":[{"role":"user"}]})",
        R"({"messages":[{"role":"boss","content":"x"}]})", R"({"messages":null})"}) {
    auto const response = api.ask("POST", "/api/chat", body);
    EXPECT_EQ(response.status, 422) << body;
    EXPECT_EQ(json_of(response).at("detail").at(0).at("loc"), (json::array{"body", "messages"}));
  }
  EXPECT_EQ(api.ask("POST", "/api/chat", kHello).status, 503);
}

TEST(Requests, carry_their_clients_id_or_one_of_ours) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate", R"({"prompt":"x"})", {{"X-Request-ID", "mine-1"}});
  auto const first = api.pending;
  api.engines.generation.on_done(stats());
  EXPECT_EQ(first->response->headers.find("x-request-id"), "mine-1");
  api.send("POST", "/v1/chat/completions", R"({"messages":[]})");
  api.engines.exchange.on_head(200, {});
  api.engines.exchange.on_done({});
  EXPECT_TRUE(api.pending->response->headers.find("x-request-id")->starts_with("req-"));
}

TEST(Requests, ids_are_checked_where_the_dialect_is_ours) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  auto const with = [](std::string id) {
    return std::map<std::string, std::string>{{"X-Request-ID", std::move(id)}};
  };
  for (auto const& bad : {std::string("a b"), std::string("\""), std::string(129, 'x')}) {
    auto const response = api.ask("POST", "/api/generate", R"({"prompt":"x"})", with(bad));
    EXPECT_EQ(response.status, 422);
    EXPECT_EQ(json_of(response).at("detail").at(0).at("loc"),
              (json::array{"header", "x-request-id"}));
    api.send("POST", "/v1/completions", "{}", with(bad));
    EXPECT_NE(api.engines.forwarded, "") << "other dialects get another id";
  }
  api.send("POST", "/api/generate", R"({"prompt":"x"})", with("one"));
  EXPECT_EQ(api.ask("POST", "/api/generate", R"({"prompt":"x"})", with("one")).status, 409);
}

TEST(Requests, are_listed_with_their_place_in_the_queue) {
  ApiFixture api;
  EXPECT_EQ(api.ask("GET", "/api/requests").body, R"({"requests":[]})");
  api.engines.loaded_name = "m";
  std::vector<engine::GenerateCallbacks> kept;  // as an engine keeps them
  for (auto const* id : {"a", "b", "c"}) {
    api.send("POST", "/api/generate", R"({"prompt":"x"})", {{"X-Request-ID", id}});
    kept.push_back(api.engines.generation);
  }
  engine::LoadedModel busy;
  busy.name = "busy";
  busy.active_requests = 1;
  api.add_row("busy", "org/busy");
  api.engines.beside = {busy};
  api.send("POST", "/v1/completions", R"({"model":"busy"})", {{"X-Request-ID", "d"}});
  auto const list = json_of(api.ask("GET", "/api/requests")).at("requests").as_array();
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[0].at("id"), "a");
  EXPECT_EQ(list[0].at("model"), "m");
  EXPECT_EQ(list[0].at("state"), "waiting");
  EXPECT_EQ(list[2].at("queue_position"), 3);
  EXPECT_EQ(list[3].at("path"), "/v1/completions");
  EXPECT_EQ(list[3].at("state"), "running") << "its engine works on one request";
  EXPECT_TRUE(list[3].at("queue_position").is_null());
}

TEST(Requests, end_when_somebody_says_so_and_leave_the_list) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate", R"({"prompt":"x"})", {{"X-Request-ID", "a"}});
  auto const client = api.pending;
  EXPECT_EQ(api.ask("DELETE", "/api/requests/b").status, 404);
  EXPECT_EQ(api.ask("POST", "/api/requests/a/cancel").status, 200);
  EXPECT_TRUE(api.engines.running->cancelled);
  api.engines.generation.on_done(fail(Code::kCancelled, "the request was cancelled"));
  EXPECT_EQ(client->response->status, 409);
  EXPECT_EQ(api.ask("DELETE", "/api/requests/a").status, 404);
}

TEST(Requests, that_wait_for_their_template_can_be_ended_too) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/chat", kHello, {{"X-Request-ID", "a"}});
  auto const template_work = api.engines.running;
  EXPECT_EQ(api.ask("DELETE", "/api/requests/a").status, 200);
  EXPECT_TRUE(template_work->cancelled);
}

}  // namespace
}  // namespace homelab::api
