#include "care/update_plan.h"

#include <gtest/gtest.h>

namespace homelab::care {
namespace {

RegisteredModel row(std::string name, std::string hf_path, std::string location = "primary",
                    std::optional<std::string> cache_path = std::nullopt) {
  return {
      std::move(name), std::move(hf_path), std::move(location), std::move(cache_path), "", false};
}

cache::Locations locations() {
  return {{"/first", std::nullopt, 100, "test"}, {"/second", std::nullopt, 100, "test"}, 0.9};
}

UpdatePlan plan(std::vector<RegisteredModel> const& rows,
                std::vector<std::string> const& names = {}) {
  auto made = plan_update(locations(), rows, names);
  if (!made) throw std::runtime_error(made.error().message);
  return std::move(*made);
}

TEST(UpdatePlan, ModelsOfOneRefAreOneGroup) {
  auto const made = plan({row("a", "org/m:Q4_1"), row("b", "org/m:Q8_0"), row("c", "org/m@v1:Q4_1"),
                          row("d", "org/m:Q4_1", "secondary"), row("e", "org/n")});
  std::vector<std::string> names;
  for (auto const& group : made.groups) names.push_back(group.names());
  EXPECT_EQ(names, (std::vector<std::string>{"a, b", "c", "d", "e"}));
  EXPECT_EQ(made.groups[2].hub_folder, "/second/hub");
}

TEST(UpdatePlan, ANameBringsTheOthersOfItsRef) {
  auto const made =
      plan({row("a", "org/m:Q4_1"), row("b", "org/m:Q8_0"), row("e", "org/n")}, {"b"});
  ASSERT_EQ(made.groups.size(), 1U);
  EXPECT_EQ(made.groups.front().names(), "a, b");
}

TEST(UpdatePlan, WhatHasNoRevisionsIsSaid) {
  auto const made =
      plan({row("local", "/models/x.gguf"), row("fixed", "org/m@" + std::string(40, 'a')),
            row("odd", "a/b/c"), row("lost", "org/m", "attic")});
  EXPECT_TRUE(made.groups.empty());
  ASSERT_EQ(made.others.size(), 4U);
  EXPECT_EQ(made.others[0].name, "local");
  EXPECT_NE(made.others[1].why.find("fixed commit"), std::string::npos);
}

TEST(UpdatePlan, ANameThatIsNotRegisteredIsAnError) {
  auto const made = plan_update(locations(), {row("a", "org/m")}, {"b"});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::kNotFound);
}

TEST(NoModelNamed, SaysWhatThereIsAndNotEndlesslyMuch) {
  EXPECT_EQ(no_model_named(" x ", {}),
            (Error{Code::kNotFound, "no model is named 'x'; no model is registered yet"}));
  EXPECT_EQ(no_model_named("x", {"a", "b"}).message, "no model is named 'x'; registered are: a, b");
  std::vector<std::string> ten(10, "n");
  EXPECT_TRUE(no_model_named("x", ten).message.ends_with("n, n"));
  ten.emplace_back("last");
  EXPECT_TRUE(no_model_named("x", ten).message.ends_with("n, n, ..."));
}

}  // namespace
}  // namespace homelab::care
