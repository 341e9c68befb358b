#include "config/python_cache.h"

#include <gtest/gtest.h>

#include <map>

namespace homelab::config {
namespace {

PythonCache with(std::map<std::string, std::string> variables) {
  variables.try_emplace("HOME", "/home/me");
  return python_cache([=](std::string const& name) -> std::optional<std::string> {
    auto const found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

std::string hub(std::map<std::string, std::string> const& variables) {
  return with(variables).hub_folder.string();
}

TEST(PythonCacheTest, WithoutVariablesItIsInTheHomeFolder) {
  EXPECT_EQ(hub({}), "/home/me/.cache/huggingface/hub");
}

TEST(PythonCacheTest, TheMoreParticularVariableWins) {
  EXPECT_EQ(hub({{"XDG_CACHE_HOME", "/x"}}), "/x/huggingface/hub");
  EXPECT_EQ(hub({{"XDG_CACHE_HOME", "/x"}, {"HF_HOME", "/h"}}), "/h/hub");
  EXPECT_EQ(hub({{"HF_HOME", "/h"}, {"HUGGINGFACE_HUB_CACHE", "/old"}}), "/old");
  EXPECT_EQ(hub({{"HUGGINGFACE_HUB_CACHE", "/old"}, {"HF_HUB_CACHE", "/new"}}), "/new");
  EXPECT_EQ(with({{"HF_HUB_CACHE", "/new"}}).why, "HF_HUB_CACHE");
}

TEST(PythonCacheTest, AnEmptyVariableCountsAsSet) {
  EXPECT_EQ(hub({{"HF_HOME", ""}}), "hub");
  EXPECT_EQ(hub({{"HF_HUB_CACHE", ""}, {"HF_HOME", "/h"}}), "");
  EXPECT_EQ(hub({{"XDG_CACHE_HOME", ""}}), "huggingface/hub");
}

TEST(PythonCacheTest, TildeAndVariablesAreExpanded) {
  EXPECT_EQ(hub({{"HF_HOME", "~/hf"}}), "/home/me/hf/hub");
  EXPECT_EQ(hub({{"HF_HOME", "~"}}), "/home/me/hub");
  EXPECT_EQ(hub({{"HF_HOME", "~other/hf"}}), "~other/hf/hub");
  EXPECT_EQ(hub({{"HF_HOME", "$DRIVE/hf"}, {"DRIVE", "/mnt"}}), "/mnt/hf/hub");
  EXPECT_EQ(hub({{"HF_HOME", "${DRIVE}s/hf"}, {"DRIVE", "/mnt"}}), "/mnts/hf/hub");
  EXPECT_EQ(hub({{"HF_HOME", "/a$UNSET/${b"}}), "/a$UNSET/${b/hub");
  EXPECT_EQ(hub({{"HF_HOME", "/price$"}}), "/price$/hub");
}

}  // namespace
}  // namespace homelab::config
