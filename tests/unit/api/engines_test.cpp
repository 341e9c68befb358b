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

}  // namespace
}  // namespace homelab::api
