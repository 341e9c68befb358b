#include "disk_cache.h"

#include <fmt/format.h>

#include <set>

#include "base/strings.h"
#include "table.h"

namespace homelab::cli {
namespace {

Result<CachedRepo> look_at(cache::Path const& hub_folder, cache::RepoId const& id,
                           std::string const& location) {
  cache::RepoFolder const repo(hub_folder, id);
  CachedRepo found{id.text(), location, repo.path(), 0, {}, 0};
  ASSIGN_OR_RETURN(found.size_bytes, cache::repo_size_bytes(repo));
  ASSIGN_OR_RETURN(auto const refs, repo.refs());
  for (auto const& [name, commit] : refs) found.refs.push_back(name);
  ASSIGN_OR_RETURN(auto const commits, repo.commits());
  found.snapshots = commits.size();
  return found;
}

}  // namespace

Result<std::vector<CachedRepo>> cached_repos(cache::Locations const& locations) {
  std::vector<CachedRepo> repos;
  std::set<cache::Path> seen;
  for (auto const kind : {cache::LocationKind::kPrimary, cache::LocationKind::kSecondary}) {
    auto const resolved = locations.resolve(kind, std::nullopt);
    std::vector<cache::Path> folders{resolved.hub.path};
    for (auto& other : locations.readable_hub_folders(resolved)) folders.push_back(other);
    for (auto const& folder : folders) {
      std::error_code error;
      if (!std::filesystem::is_directory(folder, error) || !seen.insert(folder).second) continue;
      ASSIGN_OR_RETURN(auto const ids, cache::list_repos(folder));
      for (auto const& id : ids) {
        ASSIGN_OR_RETURN(auto repo, look_at(folder, id, std::string(to_string(kind))));
        repos.push_back(std::move(repo));
      }
    }
  }
  return repos;
}

std::string repo_table(std::vector<CachedRepo> const& repos) {
  Table table({{"REPOSITORY"},
               {"SIZE", Align::kRight},
               {"REFS"},
               {"SNAPSHOTS", Align::kRight},
               {"LOCATION"},
               {"FOLDER"}});
  for (auto const& repo : repos)
    table.add({repo.id, human_bytes(repo.size_bytes), fmt::format("{}", fmt::join(repo.refs, " ")),
               std::to_string(repo.snapshots), repo.location, repo.folder.string()});
  return table.render();
}

json::array to_json(std::vector<CachedRepo> const& repos) {
  json::array out;
  for (auto const& repo : repos) {
    json::array refs;
    for (auto const& ref : repo.refs) refs.emplace_back(ref);
    out.push_back(json::object{{"repo", repo.id},
                               {"location", repo.location},
                               {"folder", repo.folder.string()},
                               {"size_bytes", repo.size_bytes},
                               {"refs", std::move(refs)},
                               {"snapshots", repo.snapshots}});
  }
  return out;
}

}  // namespace homelab::cli
