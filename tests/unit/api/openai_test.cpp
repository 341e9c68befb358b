#include <gtest/gtest.h>

#include "fakes.h"

namespace homelab::api {
namespace {

using test::ApiFixture;
using test::json_of;

std::string code_of(http::Response const& response) {
  return std::string(json_of(response).as_object().at("error").as_object().at("code").as_string());
}

http::Headers type(std::string_view value) {
  http::Headers headers;
  headers.set("Content-Type", value);
  return headers;
}

TEST(OpenAi, lists_and_shows_registered_models) {
  ApiFixture api;
  api.add_row("org/a", "org/a");
  auto const list = json_of(api.ask("GET", "/v1/models")).as_object();
  EXPECT_EQ(list.at("object").as_string(), "list");
  EXPECT_EQ(list.at("data").as_array().at(0).as_object().at("id").as_string(), "org/a");
  EXPECT_EQ(api.ask("GET", "/v1/models/org/a").status, 200);
  EXPECT_EQ(api.ask("GET", "/v1/models/org%2Fa").status, 200);
  EXPECT_EQ(code_of(api.ask("GET", "/v1/models/b")), "model_not_found");
}

TEST(OpenAi, forwards_the_body_unchanged_to_the_loaded_model) {
  ApiFixture api;
  api.add_row("m", "org/m");
  std::string const body = R"({"model": "m",  "messages": []})";
  api.send("POST", "/v1/chat/completions", body);
  EXPECT_EQ(api.engines.forwarded, "POST /v1/chat/completions " + body);
  EXPECT_EQ(api.engines.forward_request.model, "m");
  api.engines.exchange.on_head(200, type("application/json; charset=utf-8"));
  api.engines.exchange.on_data(R"({"choices")");
  api.engines.exchange.on_data(":[]}");
  api.engines.exchange.on_done({});
  EXPECT_EQ(api.pending->response->status, 200);
  EXPECT_EQ(api.pending->response->body, R"({"choices":[]})");
}

TEST(OpenAi, passes_a_stream_on_byte_for_byte) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/v1/completions", R"({"prompt":"x","stream":true})");
  api.engines.exchange.on_head(200, type("text/event-stream"));
  api.engines.exchange.on_data("data: {\"a\"");
  api.pending->attach();
  api.engines.exchange.on_data(":1}\n\ndata: [DONE]\n\n");
  api.engines.exchange.on_done({});
  EXPECT_EQ(api.pending->channel->text, "data: {\"a\":1}\n\ndata: [DONE]\n\n");
  EXPECT_EQ(api.pending->channel->closed, "properly");
}

TEST(OpenAi, ends_a_broken_stream_with_an_error_event) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/v1/completions", R"({"stream":true})");
  api.engines.exchange.on_head(200, type("text/event-stream"));
  api.pending->attach();
  api.engines.exchange.on_done(fail(Code::kUnavailable, "killed"));
  EXPECT_EQ(api.pending->channel->text,
            "\n\ndata: "
            "{\"error\":{\"message\":\"killed\",\"type\":\"server_error\",\"param\":null,\"code\":"
            "null}}\n\n");
}

TEST(OpenAi, says_what_to_do_when_no_model_is_loaded_and_none_is_named) {
  ApiFixture api;
  auto const response = api.ask("POST", "/v1/chat/completions", R"({"messages":[]})");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(code_of(response), "model_not_loaded");
}

TEST(OpenAi, refuses_unknown_models_and_bodies_that_are_no_objects) {
  ApiFixture api;
  auto response = api.ask("POST", "/v1/chat/completions", R"({"model":"nobody"})");
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(code_of(response), "model_not_found");
  EXPECT_EQ(api.ask("POST", "/v1/chat/completions", "[]").status, 400);
  EXPECT_EQ(api.ask("POST", "/v1/chat/completions", "{").status, 400);
  EXPECT_EQ(api.ask("POST", "/v1/chat/completions", R"({"model":5})").status, 400);
  EXPECT_EQ(api.engines.forwarded, "");
}

TEST(OpenAi, passes_everything_on_that_the_engine_answers_itself) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  for (std::string const target :
       {"/v1/embeddings", "/v1/rerank", "/v1/responses", "/v1/messages",
        "/v1/messages/count_tokens", "/tokenize", "/detokenize", "/apply-template"}) {
    api.send("POST", target, "{}");
    EXPECT_EQ(api.engines.forwarded, "POST " + target + " {}");
  }
}

TEST(OpenAi, a_request_may_say_how_long_its_model_stays) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  auto const asked = [&](std::string const& value) {
    api.send("POST", "/v1/completions", R"({"keep_alive":)" + value + "}");
    return api.engines.forward_request.keep_alive;
  };
  EXPECT_EQ(asked("300"), std::chrono::seconds(300));
  EXPECT_EQ(asked(R"("1h30m")"), std::chrono::minutes(90));
  EXPECT_EQ(asked("0"), std::chrono::seconds(0));
  EXPECT_EQ(asked(R"("-1")"), std::chrono::seconds(-1));
  EXPECT_EQ(asked("null"), std::nullopt);
  for (std::string const wrong : {R"("soon")", "[]", "1e12", R"("5x")"}) {
    auto const body = R"({"keep_alive":)" + wrong + "}";
    EXPECT_EQ(api.ask("POST", "/v1/completions", body).status, 400) << wrong;
  }
}

TEST(OpenAi, says_when_to_come_back_to_a_model_that_is_left_alone) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.engines.load_error = Error{Code::kUnavailable, "left alone for 5 s"};
  api.engines.wait = std::chrono::seconds(5);
  auto const response = api.ask("POST", "/v1/completions", R"({"model":"m"})");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.find("retry-after"), "5");
}

TEST(OpenAi, finds_a_model_by_its_hub_id_when_that_is_unambiguous) {
  ApiFixture api;
  api.add_row("mine", "org/m");
  api.send("POST", "/v1/completions", R"({"model":"org/m"})");
  EXPECT_EQ(api.engines.forward_request.model, "mine");
  api.add_row("second", "org/m");
  EXPECT_EQ(api.ask("POST", "/v1/completions", R"({"model":"org/m"})").status, 400);
}

TEST(OpenAi, gives_the_reason_when_the_model_cannot_be_loaded) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.engines.load_error = Error{Code::kUnavailable, "the Hub is away"};
  auto const response = api.ask("POST", "/v1/completions", R"({"model":"m"})");
  EXPECT_EQ(response.status, 500);
  EXPECT_NE(response.body.find("the Hub is away"), std::string::npos);
  api.engines.load_error = Error{Code::kFailedPrecondition, "marked incompatible"};
  EXPECT_EQ(api.ask("POST", "/v1/completions", R"({"model":"m"})").status, 400);
}

TEST(OpenAi, cancels_the_engine_when_the_client_leaves) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/v1/completions", R"({"stream":true})");
  api.pending->on_gone();
  EXPECT_TRUE(api.engines.running->cancelled);
}

}  // namespace
}  // namespace homelab::api
