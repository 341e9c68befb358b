#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "care/work.h"

namespace homelab::care {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kTypes = {"models", "datasets", "spaces", "kernels"};

bool is_repo_folder(std::string const& name) {
  return std::ranges::any_of(kTypes, [&](std::string_view type) {
    return name.size() > type.size() + 2 && name.starts_with(type) &&
           name.substr(type.size(), 2) == "--";
  });
}

std::string with_dashes(std::string_view id) {
  std::string out;
  for (char const letter : id) out += letter == '/' ? std::string("--") : std::string(1, letter);
  return out;
}

/// Names of the folders that a word may mean.
std::set<std::string> folder_names(std::string const& word) {
  if (is_repo_folder(word)) return {word};
  for (auto const type : kTypes)
    if (word.starts_with(fmt::format("{}/", type))) return {with_dashes(word)};
  std::set<std::string> names;
  for (auto const type : kTypes) names.insert(fmt::format("{}--{}", type, with_dashes(word)));
  return names;
}

}  // namespace

Result<std::vector<cache::Path>> chosen_repo_folders(std::vector<cache::Path> const& hub_folders,
                                                     std::vector<std::string> const& words) {
  std::set<std::string> wanted;
  for (auto const& word : words) wanted.merge(folder_names(word));
  std::vector<cache::Path> found;
  std::set<cache::Path> seen;
  std::set<std::string> names;
  for (auto const& hub : hub_folders) {
    std::vector<cache::Path> here;
    std::error_code error;
    for (auto entry = fs::directory_iterator(hub, error);
         !error && entry != fs::directory_iterator(); entry.increment(error)) {
      std::string const name = entry->path().filename().string();
      std::error_code gone;
      if (!is_repo_folder(name) || !entry->is_directory(gone)) continue;
      if (words.empty() || wanted.contains(name)) here.push_back(entry->path());
    }
    if (error) return fail_errno("read folder", hub.string(), error.value());
    std::ranges::sort(here);
    for (auto const& folder : here) {
      names.insert(folder.filename().string());
      std::error_code gone;
      auto const real = fs::canonical(folder, gone);
      if (!gone && seen.insert(real).second) found.push_back(folder);
    }
  }
  for (auto const& word : words) {
    auto const meant = folder_names(word);
    if (std::ranges::none_of(meant, [&](auto const& name) { return names.contains(name); }))
      return fail(
          Code::kNotFound,
          fmt::format("{} is in none of the cache folders; see: homelab-llm cache ls", word));
  }
  return found;
}

}  // namespace homelab::care
