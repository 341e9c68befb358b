#include <gtest/gtest.h>

#include "fakes.h"

namespace homelab::api {
namespace {

using test::ApiFixture;
using test::json_of;

TEST(Engines, ListsEverythingThatIsLoaded) {
  ApiFixture api;
  api.engines.loaded_name = "main";
  engine::LoadedModel other;
  other.name = "other";
  other.pinned = true;
  other.resident_bytes = 5;
  api.engines.beside = {other};
  auto const answer = json_of(api.ask("GET", "/api/engines"));
  auto const& engines = answer.as_object().at("engines").as_array();
  ASSERT_EQ(engines.size(), 2U);
  auto const& first = engines.at(0).as_object();
  EXPECT_EQ(first.at("model_name").as_string(), "other");
  EXPECT_TRUE(first.at("pinned").as_bool());
  EXPECT_FALSE(first.at("current").as_bool());
  EXPECT_EQ(first.at("resident_bytes").as_int64(), 5);
  EXPECT_TRUE(engines.at(1).as_object().at("current").as_bool());
}

TEST(Engines, TheOriginalsLoadReplacesAndOursMayLoadBeside) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.ask("POST", "/api/orchestrate/load", R"({"model_name":"m"})");
  EXPECT_EQ(api.engines.last_place, engine::Place::kInstead);
  api.ask("POST", "/api/orchestrate/load", R"({"model_name":"m","beside":true})");
  EXPECT_EQ(api.engines.last_place, engine::Place::kBeside);
}

TEST(Engines, UnloadMayNameAModel) {
  ApiFixture api;
  api.engines.loaded_name = "m";
  EXPECT_EQ(api.ask("POST", "/api/orchestrate/unload").status, 200);
  EXPECT_EQ(api.engines.last_unload, "");
  api.engines.loaded_name = "m";
  EXPECT_EQ(api.ask("POST", "/api/orchestrate/unload", R"({"model_name":"m"})").status, 200);
  EXPECT_EQ(api.engines.last_unload, "m");
  EXPECT_EQ(api.ask("POST", "/api/orchestrate/unload", R"({"model_name":5})").status, 422);
}

TEST(Engines, SayWhatTheyGaveUp) {
  ApiFixture api;
  engine::LoadedModel whole;
  whole.name = "whole";
  whole.sandbox = engine::SandboxReport{true, true, true, true, 7};
  engine::LoadedModel none;
  none.name = "none";
  api.engines.beside = {whole, none};
  auto const answer = json_of(api.ask("GET", "/api/engines"));
  auto const& engines = answer.as_object().at("engines").as_array();
  auto const& sandbox = engines.at(0).as_object().at("sandbox").as_object();
  EXPECT_TRUE(sandbox.at("complete").as_bool());
  EXPECT_EQ(sandbox.at("landlock").as_int64(), 7);
  EXPECT_TRUE(engines.at(1).as_object().at("sandbox").is_null());
}

TEST(Engines, ALoadThatIsLeftAloneSaysWhenToTryAgain) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.engines.load_error = Error{Code::kAborted, "left alone"};
  api.engines.wait = std::chrono::seconds(7);
  auto const answer = api.ask("POST", "/api/orchestrate/load", R"({"model_name":"m"})");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers.find("retry-after"), "7");
  EXPECT_EQ(test::detail_of(answer), "left alone");
}

TEST(Engines, GiveTheirLog) {
  ApiFixture api;
  EXPECT_EQ(api.ask("GET", "/api/engines/m/log").status, 404);
  auto const log = std::make_shared<engine::LogFile>(api.folder / "m.log");
  api.engines.logs["org/m"] = log;
  log->append("one\ntwo\n");
  EXPECT_EQ(api.ask("GET", "/api/engines/org%2Fm/log").body, "one\ntwo\n");
  EXPECT_EQ(api.ask("GET", "/api/engines/org%2Fm/log?lines=1").body, "two\n");
  EXPECT_EQ(api.ask("GET", "/api/engines/org%2Fm/log?lines=many").status, 400);
  EXPECT_EQ(api.ask("GET", "/api/engines/org%2Fm/log?follow=yes").status, 400);
}

TEST(Engines, AFollowedLogGoesOnUntilTheEngineEnds) {
  ApiFixture api;
  auto const log = std::make_shared<engine::LogFile>(api.folder / "m.log");
  api.engines.logs["m"] = log;
  log->append("one\ntwo\n");
  auto const reply = api.send("GET", "/api/engines/m/log?lines=1&follow=1");
  auto const channel = std::make_shared<test::FakeChannel>();
  std::get<http::StreamReply>(reply).start(channel);
  log->append("three\n");
  EXPECT_EQ(channel->text, "two\nthree\n");
  EXPECT_EQ(channel->closed, "");
  log->end();
  EXPECT_EQ(channel->closed, "properly");
}

}  // namespace
}  // namespace homelab::api
