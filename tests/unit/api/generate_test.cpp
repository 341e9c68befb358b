#include <gtest/gtest.h>

#include "fakes.h"
#include "generation_fields.h"

namespace homelab::api {
namespace {

using test::ApiFixture;
using test::detail_of;
using test::json_of;

constexpr auto kPrompt = R"({"prompt":"Hi"})";

engine::GenerateStats stats() {
  engine::GenerateStats out;
  out.input_tokens = 3;
  out.output_tokens = 2;
  out.inference_ms = 1000;
  out.ttft_ms = 12.5;
  return out;
}

TEST(Generate, answers_prompt_and_continuation_with_the_six_fields) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate", kPrompt);
  api.engines.generation.on_text(" th");
  api.engines.generation.on_text("ere");
  api.engines.generation.on_done(stats());
  ASSERT_TRUE(api.pending->response);
  EXPECT_EQ(
      api.pending->response->body,
      R"({"generated_text":"Hi there","input_tokens":3,"output_tokens":2,"total_tokens":5,"inference_time_ms":1000.0,"tokens_per_second":2.0})");
}

TEST(Generate, hands_defaults_and_lenient_values_on) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate", kPrompt);
  EXPECT_EQ(api.engines.generate_request.max_tokens, 256);
  EXPECT_DOUBLE_EQ(api.engines.generate_request.temperature, 0.7);
  EXPECT_DOUBLE_EQ(api.engines.generate_request.top_p, 0.9);
  EXPECT_TRUE(api.engines.generate_request.do_sample);
  api.send("POST", "/api/generate",
           R"({"prompt":"","max_tokens":"7","temperature":0,"top_p":1,"do_sample":"no"})");
  EXPECT_EQ(api.engines.generate_request.max_tokens, 7);
  EXPECT_FALSE(api.engines.generate_request.do_sample);
}

TEST(Generate, hands_the_engines_parameters_on_and_adds_none) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate", kPrompt);
  EXPECT_EQ(api.engines.generate_request.parameters, json::object());
  api.send(
      "POST", "/api/generate",
      R"({"prompt":"Hi","top_k":"5","min_p":0.25,"seed":4294967295,"stop":"END","mirostat":null,)"
      R"("logit_bias":{"13":-5,"word":false},"ignore_eos":1,"repeat_last_n":0})");
  EXPECT_EQ(api.engines.generate_request.parameters,
            (json::object{{"top_k", 5},
                          {"min_p", 0.25},
                          {"repeat_last_n", 0},
                          {"seed", 4294967295},
                          {"ignore_eos", true},
                          {"stop", {"END"}},
                          {"logit_bias", {{"13", -5}, {"word", false}}}}));
  api.send("POST", "/api/generate/stream",
           R"({"prompt":"Hi","stop":["a","b"],"logit_bias":[[13,1.5],["x",false]],)"
           R"("json_schema":{"type":"object"}})");
  EXPECT_EQ(api.engines.generate_request.parameters,
            (json::object{{"stop", {"a", "b"}},
                          {"logit_bias", {{13, 1.5}, {"x", false}}},
                          {"json_schema", {{"type", "object"}}}}));
}

TEST(Generate, refuses_each_parameter_with_its_field_and_range) {
  ApiFixture api;
  auto const problem = [&](std::string const& field) {
    auto const response = api.ask("POST", "/api/generate", "{\"prompt\":\"x\"," + field + "}");
    EXPECT_EQ(response.status, 422) << field;
    return json_of(response).at("detail").at(0).as_object();
  };
  auto const range = problem(R"("top_k":-1)");
  EXPECT_EQ(range.at("loc"), (json::array{"body", "top_k"}));
  EXPECT_EQ(range.at("type"), "greater_than_equal");
  EXPECT_EQ(range.at("ctx"), (json::object{{"ge", 0}}));
  EXPECT_EQ(problem(R"("min_p":1.5)").at("ctx"), (json::object{{"le", 1.0}}));
  EXPECT_EQ(problem(R"("seed":4294967296)").at("type"), "less_than_equal");
  for (auto const field :
       {R"("stop":"")", R"("stop":[1])", R"("stop":{"a":1})", R"("logit_bias":{"1":true})",
        R"("logit_bias":[[1]])", R"("logit_bias":[[-1,2]])", R"("logit_bias":{"1":101})",
        R"("logit_bias":5)", R"("json_schema":"x")", R"("grammar":7)", R"("grammar":"")",
        R"("grammar":"%llguidance {}")", R"("grammar":"root ::= \"a\"","json_schema":{})"})
    EXPECT_EQ(problem(field).at("type"), "value_error") << field;
  std::string const many(16, 'x');
  std::string list = R"("stop":["x")";
  for (char const one : many) list += std::string(",\"") + one + '"';
  EXPECT_EQ(problem(list + "]").at("loc"), (json::array{"body", "stop"})) << "17 of them";
}

TEST(Generate, the_schema_of_its_body_is_what_its_reader_asks_for) {
  auto const schema = BodyReader::describe([](BodyReader& body) { (void)read_generation(body); });
  EXPECT_EQ(schema.at("required"), json::array{"prompt"});
  auto const& fields = schema.at("properties").as_object();
  EXPECT_EQ(
      fields.at("max_tokens"),
      (json::object{{"minimum", 1}, {"maximum", 4096}, {"type", "integer"}, {"default", 256}}));
  EXPECT_EQ(fields.at("min_p").at("type"), (json::array{"number", "null"}));
  EXPECT_TRUE(fields.contains("stop") && fields.contains("grammar") && fields.contains("model"));
}

TEST(Generate, checks_the_input_before_it_asks_for_a_model) {
  ApiFixture api;
  EXPECT_EQ(api.ask("POST", "/api/generate", "{}").status, 422);
  auto const response = api.ask("POST", "/api/generate", kPrompt);
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(detail_of(response), "No model is loaded");
}

TEST(Generate, answers_500_with_the_cause_when_the_engine_fails) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate", kPrompt);
  api.engines.generation.on_done(fail(Code::kUnavailable, "the engine was killed"));
  EXPECT_EQ(api.pending->response->status, 500);
  EXPECT_EQ(detail_of(*api.pending->response), "the engine was killed");
}

TEST(Generate, stops_when_the_client_leaves) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate", kPrompt);
  api.pending->on_gone();
  EXPECT_TRUE(api.engines.running->cancelled);
}

TEST(Stream, sends_start_tokens_and_done_as_single_escaped_lines) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate/stream", kPrompt);
  auto const& generation = api.engines.generation;
  generation.on_start(3);
  ASSERT_TRUE(api.pending->stream);
  EXPECT_EQ(api.pending->stream->status, 200);
  EXPECT_EQ(api.pending->stream->headers.find("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_EQ(api.pending->stream->headers.find("cache-control"), "no-cache");
  EXPECT_EQ(api.pending->stream->headers.find("x-accel-buffering"), "no");
  generation.on_text("caf\xc3\xa9\n");
  api.pending->attach();
  generation.on_text("!");
  generation.on_done(stats());
  EXPECT_EQ(api.pending->channel->text,
            "data: {\"type\":\"start\",\"input_tokens\":3}\n\n"
            "data: {\"type\":\"token\",\"text\":\"caf\\u00e9\\n\"}\n\n"
            "data: {\"type\":\"token\",\"text\":\"!\"}\n\n"
            "data: {\"type\":\"done\",\"input_tokens\":3,\"output_tokens\":2,\"total_tokens\":5,"
            "\"inference_time_ms\":1000.0,\"ttft_ms\":12.5,\"tokens_per_second\":2.0}\n\n");
  EXPECT_EQ(api.pending->channel->closed, "properly");
  EXPECT_EQ(api.pending->completions, 1);
}

TEST(Stream, answers_503_without_a_model_and_422_for_bad_input) {
  ApiFixture api;
  EXPECT_EQ(api.ask("POST", "/api/generate/stream", kPrompt).status, 503);
  EXPECT_EQ(api.ask("POST", "/api/generate/stream", R"({"prompt":"x","top_p":2})").status, 422);
}

TEST(Stream, ends_with_one_error_event_when_the_engine_dies) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate/stream", kPrompt);
  api.engines.generation.on_start(3);
  api.pending->attach();
  api.engines.generation.on_done(fail(Code::kUnavailable, "killed"));
  EXPECT_TRUE(
      api.pending->channel->text.ends_with("data: {\"type\":\"error\",\"error\":\"killed\"}\n\n"));
  EXPECT_EQ(api.pending->channel->closed, "properly");
}

TEST(Stream, gives_200_and_an_error_event_for_a_failure_before_the_first_token) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate/stream", kPrompt);
  api.engines.generation.on_done(fail(Code::kUnavailable, "killed"));
  ASSERT_TRUE(api.pending->stream);
  api.pending->attach();
  EXPECT_EQ(api.pending->channel->text, "data: {\"type\":\"error\",\"error\":\"killed\"}\n\n");
}

TEST(Stream, cancels_the_generation_when_the_client_leaves) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate/stream", kPrompt);
  api.engines.generation.on_start(3);
  api.pending->attach();
  ASSERT_TRUE(api.pending->channel->on_gone);
  api.pending->channel->on_gone();
  EXPECT_TRUE(api.engines.running->cancelled);
}

TEST(Stream, cancels_the_generation_when_a_write_is_refused) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  api.send("POST", "/api/generate/stream", kPrompt);
  api.engines.generation.on_start(3);
  api.pending->attach();
  api.pending->channel->gone = true;
  api.engines.generation.on_text("x");
  EXPECT_TRUE(api.engines.running->cancelled);
}

TEST(Orchestrate, load_answers_with_what_is_known_about_the_model) {
  ApiFixture api;
  api.add_row("m", "org/m");
  auto const response = api.ask("POST", "/api/orchestrate/load", R"({"model_name":" m "})");
  EXPECT_EQ(response.status, 200);
  auto const body = json_of(response).as_object();
  EXPECT_EQ(body.at("model_id").as_int64(), 1);
  EXPECT_TRUE(body.at("parameter_count").is_null());
  EXPECT_TRUE(body.contains("message") && body.contains("model_type") &&
              body.contains("compatibility_status"));
}

TEST(Orchestrate, load_tells_refusal_unknown_name_and_failure_apart) {
  ApiFixture api;
  api.add_row("m", "org/m");
  EXPECT_EQ(api.ask("POST", "/api/orchestrate/load", R"({"model_name":"x"})").status, 404);
  EXPECT_EQ(api.ask("POST", "/api/orchestrate/load", R"({"model_name":" "})").status, 422);
  api.engines.load_error = Error{Code::kNotFound, "the Hub has no such repository"};
  EXPECT_EQ(api.ask("POST", "/api/orchestrate/load", R"({"model_name":"m"})").status, 500);
  api.engines.load_error = Error{Code::kFailedPrecondition, "notes"};
  EXPECT_EQ(api.ask("POST", "/api/orchestrate/load", R"({"model_name":"m"})").status, 500);
  api.registry.rows[0].compatibility_status = "incompatible";
  EXPECT_EQ(api.ask("POST", "/api/orchestrate/load", R"({"model_name":"m"})").status, 400);
  api.ask("POST", "/api/orchestrate/load", R"({"model_name":"m","force_load":1})");
  EXPECT_TRUE(api.engines.loads.back().second);
}

TEST(Orchestrate, unload_and_validate_need_a_model) {
  ApiFixture api;
  EXPECT_EQ(api.ask("POST", "/api/orchestrate/unload").status, 400);
  EXPECT_EQ(api.ask("GET", "/api/orchestrate/validate").status, 503);
  api.engines.loaded_name = "m";
  api.engines.outcome = {true, "m", "cpu", "torch.float32", ""};
  EXPECT_EQ(
      api.ask("GET", "/api/orchestrate/validate").body,
      R"({"status":"healthy","model_name":"m","test_passed":true,"device":"cpu","dtype":"torch.float32"})");
  api.engines.outcome = {false, "m", "", "", "broken"};
  auto const unhealthy = api.ask("GET", "/api/orchestrate/validate");
  EXPECT_EQ(unhealthy.status, 200);
  EXPECT_EQ(unhealthy.body,
            R"({"status":"unhealthy","model_name":"m","test_passed":false,"error":"broken"})");
  EXPECT_EQ(api.ask("POST", "/api/orchestrate/unload").status, 200);
}

TEST(Status, has_the_six_fields) {
  ApiFixture api;
  auto body = json_of(api.ask("GET", "/api/status")).as_object();
  EXPECT_EQ(body.size(), 6U);
  EXPECT_TRUE(body.at("loaded_model").is_null());
  api.engines.loaded_name = "m";
  body = json_of(api.ask("GET", "/api/status")).as_object();
  EXPECT_EQ(body.at("loaded_model").as_string(), "m");
  EXPECT_EQ(body.at("loaded_model_id").as_int64(), 7);
}

TEST(Logging, is_switched_and_validated) {
  ApiFixture api;
  EXPECT_EQ(api.ask("GET", "/api/config/logging").body, R"({"performance_logging":true})");
  EXPECT_EQ(api.ask("POST", "/api/config/logging", R"({"enable":"off"})").status, 200);
  EXPECT_FALSE(api.engines.logging);
  EXPECT_EQ(api.ask("POST", "/api/config/logging", R"({})").status, 422);
}

}  // namespace
}  // namespace homelab::api
