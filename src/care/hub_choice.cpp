#include <algorithm>

#include "care/work.h"

namespace homelab::care {
namespace {

void add_folder(std::vector<cache::Path>& folders, cache::Path const& folder) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) return;
  cache::Path const real = std::filesystem::canonical(folder, error);
  auto const same = [&](cache::Path const& one) {
    std::error_code ignored;
    return std::filesystem::canonical(one, ignored) == real;
  };
  if (!error && std::ranges::none_of(folders, same)) folders.push_back(folder);
}

}  // namespace

Result<std::vector<cache::Path>> chosen_hub_folders(cache::Locations const& locations,
                                                    Place const& place) {
  std::vector<cache::Locations::Resolved> chosen;
  if (place.location.empty() && place.path.empty()) {
    for (auto const& one : locations.all()) chosen.push_back(locations.resolve(one));
  } else {
    ASSIGN_OR_RETURN(auto const one, choose_one(locations, place));
    chosen.push_back(one.resolved);
  }
  std::vector<cache::Path> folders;
  for (auto const& resolved : chosen) {
    add_folder(folders, resolved.hub.path);
    for (auto const& other : locations.readable_hub_folders(resolved)) add_folder(folders, other);
  }
  return folders;
}

}  // namespace homelab::care
