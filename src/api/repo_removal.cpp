#include "repo_removal.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "cache/removal.h"

namespace homelab::api {
namespace {

/// A relative or absolute link of the bridge (design §3) that pointed to the folder just removed.
void remove_link_to(cache::Path const& link, cache::Path const& removed) {
  std::error_code error;
  cache::Path const target = std::filesystem::read_symlink(link, error);
  if (error) return;
  cache::Path const full = (link.parent_path() / target).lexically_normal();
  if (full == removed.lexically_normal()) std::filesystem::remove(link, error);
}

/// Content that is gone for good: what has another name, or another user in the shared store, is
/// not.
std::uint64_t freed_content(cache::RemovalPlan const& plan) {
  std::uint64_t bytes = 0;
  for (cache::RemovalItem const& item : plan.items) {
    bool const stored = item.kind == cache::RemovalKind::kBlob && item.frees_bytes == 0;
    if (!stored) bytes += item.size_bytes;
  }
  return bytes;
}

Result<bool> remove_one(cache::Path const& hub_folder, cache::RepoId const& repo,
                        std::uint64_t& freed_bytes) {
  std::string const name = repo.folder_name();
  auto const info = os::stat_link(hub_folder / name);
  if (!info) {
    if (info.error().code == Code::kNotFound) return false;
    return fail(info.error());
  }
  if (!S_ISDIR(info->st_mode)) return false;
  RETURN_IF_ERROR(cache::check_idle(hub_folder, name));
  ASSIGN_OR_RETURN(auto const scan, cache::scan_repo(hub_folder / name));
  cache::Proposal everything;
  everything.wish.everything = true;
  auto const plan =
      cache::plan_removal(scan, everything, {}, cache::look_up(hub_folder, name), false);
  if (!plan.refused.empty())
    return fail(Code::kAborted,
                fmt::format("{}: {}; nothing was deleted", repo.text(), plan.refused.front().why));
  ASSIGN_OR_RETURN(auto const report, cache::execute_removal(plan, {false, "", {}}));
  if (!report.skipped.empty())
    return fail(Code::kAborted,
                fmt::format("{} was deleted only in part: {} was left ({})", repo.text(),
                            report.skipped.front().path, report.skipped.front().why));
  freed_bytes += freed_content(plan);
  return true;
}

cache::Path real_path(cache::Path const& path) {
  std::error_code error;
  cache::Path real = std::filesystem::weakly_canonical(path, error);
  return error ? path.lexically_normal() : real;
}

/// Folders (or, for a row that names a local path, that path) in which a row's files may stand.
std::vector<cache::Path> paths_of(cache::Locations const& locations, registry::Model const& model) {
  auto const reference = cache::ModelReference::parse(model.hf_path);
  if (!reference) return {real_path(model.hf_path)};
  std::vector<cache::Path> paths;
  for (cache::Path const& hub : hub_folders_of(locations, model))
    paths.push_back(real_path(cache::RepoFolder(hub, reference->repo).path()));
  return paths;
}

bool is_inside(cache::Path const& path, cache::Path const& folder) {
  auto const [rest, unused] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return rest == folder.end();
}

}  // namespace

std::vector<cache::Path> hub_folders_of(cache::Locations const& locations,
                                        registry::Model const& model) {
  auto const kind =
      cache::parse_location_kind(model.cache_location).value_or(cache::LocationKind::kCustom);
  auto const resolved = locations.resolve(kind, model.cache_path);
  std::vector<cache::Path> folders{resolved.hub.path};
  for (cache::Path& other : locations.readable_hub_folders(resolved))
    if (std::find(folders.begin(), folders.end(), other) == folders.end())
      folders.push_back(std::move(other));
  return folders;
}

std::string other_user(cache::Locations const& locations, registry::Model const& model,
                       std::vector<registry::Model> const& others) {
  auto const mine = paths_of(locations, model);
  for (registry::Model const& other : others) {
    if (other.id == model.id) continue;
    for (cache::Path const& path : paths_of(locations, other))
      for (cache::Path const& folder : mine)
        if (is_inside(path, folder)) return other.model_name;
  }
  return {};
}

Result<Removal> remove_repo(std::vector<cache::Path> const& hub_folders,
                            cache::RepoId const& repo) {
  Removal removal;
  for (cache::Path const& hub : hub_folders) {
    cache::Path const path = cache::RepoFolder(hub, repo).path();
    if (removal.path.empty()) removal.path = path;
    ASSIGN_OR_RETURN(bool const removed, remove_one(hub, repo, removal.freed_bytes));
    if (removed && !removal.found) removal.path = path;
    removal.found = removal.found || removed;
  }
  if (removal.found)
    for (cache::Path const& hub : hub_folders)
      remove_link_to(cache::RepoFolder(hub, repo).path(), removal.path);
  return removal;
}

}  // namespace homelab::api
