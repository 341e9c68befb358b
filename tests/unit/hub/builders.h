#pragma once
// Short ways to make trees for the tests of this folder.
#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "cache/hub_folder.h"

namespace homelab::hub::test {

inline cache::RepoPath path_of(std::string_view text) {
  return cache::RepoPath::parse(text).value();
}

inline cache::TreeFile file_of(std::string_view path, std::uint64_t size_bytes = 100) {
  return {path_of(path), size_bytes, std::string(40, 'a'), std::nullopt, std::nullopt};
}

inline cache::Tree tree_of(std::initializer_list<std::string_view> paths) {
  cache::Tree tree;
  for (auto const path : paths) tree.files.push_back(file_of(path));
  std::sort(tree.files.begin(), tree.files.end(),
            [](auto const& a, auto const& b) { return a.path < b.path; });
  return tree;
}

inline std::vector<std::string> paths_of(std::vector<cache::TreeFile> const& files) {
  std::vector<std::string> out;
  for (auto const& file : files) out.push_back(file.path.text());
  return out;
}

}  // namespace homelab::hub::test
