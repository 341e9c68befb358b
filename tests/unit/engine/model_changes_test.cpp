#include "model_changes.h"

#include <gtest/gtest.h>

namespace homelab::engine {
namespace {

using State = ModelChange::State;
using Changes = std::vector<ModelChange>;

std::string nobody_asks(std::string const& model, bool) {
  ADD_FAILURE() << "asked why " << model << " has gone";
  return "";
}

TEST(ModelChanges, are_told_once) {
  ModelChanges changes;
  EXPECT_EQ(changes.look({}, "", nobody_asks), Changes{});
  EXPECT_EQ(changes.look({}, "a", nobody_asks), (Changes{{"a", State::kLoading}}));
  EXPECT_EQ(changes.look({}, "a", nobody_asks), Changes{});
  EXPECT_EQ(changes.look({"a"}, "", nobody_asks), (Changes{{"a", State::kLoaded}}));
  EXPECT_EQ(changes.look({"a"}, "", nobody_asks), Changes{});
}

TEST(ModelChanges, say_why_a_model_has_gone) {
  ModelChanges changes;
  (void)changes.look({"a"}, "b", nobody_asks);
  auto const why = [](std::string const& model, bool was_loaded) {
    return model + (was_loaded ? " died" : " failed");
  };
  EXPECT_EQ(changes.look({}, "", why),
            (Changes{{"a", State::kUnloaded, "a died"}, {"b", State::kUnloaded, "b failed"}}));
}

TEST(ModelChanges, a_model_that_makes_room_goes_before_the_next_one_comes) {
  ModelChanges changes;
  (void)changes.look({"b"}, "", nobody_asks);
  auto const wished = [](std::string const&, bool) { return std::string(); };
  EXPECT_EQ(changes.look({}, "a", wished),
            (Changes{{"b", State::kUnloaded}, {"a", State::kLoading}}));
}

TEST(ModelChanges, a_model_that_is_loaded_anew_is_loading) {
  ModelChanges changes;
  (void)changes.look({"a"}, "", nobody_asks);
  EXPECT_EQ(changes.look({}, "a", nobody_asks), (Changes{{"a", State::kLoading}}));
}

}  // namespace
}  // namespace homelab::engine
