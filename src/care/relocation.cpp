#include "relocation.h"

#include <fmt/format.h>

#include <algorithm>

namespace homelab::care {
namespace {

/// Folders in which the files of a row may stand; empty for a row that names none.
std::vector<cache::Path> repo_folders_of(cache::Locations const& locations,
                                         RegisteredModel const& model) {
  auto const reference = cache::ModelReference::parse(model.hf_path);
  if (is_local_path(model.hf_path) || !reference) return {};
  auto const kind =
      cache::parse_location_kind(model.location).value_or(cache::LocationKind::kCustom);
  auto const resolved = locations.resolve(kind, model.cache_path);
  std::vector<cache::Path> folders{cache::RepoFolder(resolved.hub.path, reference->repo).path()};
  for (auto const& other : locations.readable_hub_folders(resolved))
    folders.push_back(cache::RepoFolder(other, reference->repo).path());
  return folders;
}

/// A row of a local path that leads into the repository at the source.
bool names_path_below(RegisteredModel const& model, cache::Path const& folder) {
  if (!is_local_path(model.hf_path)) return false;
  auto const rest = cache::Path(absolute_path(model.hf_path)).lexically_relative(folder);
  return !rest.empty() && *rest.begin() != "..";
}

bool is_among(cache::Path const& wanted, std::vector<cache::Path> const& folders) {
  return std::ranges::any_of(
      folders, [&](cache::Path const& folder) { return is_same_place(folder, wanted); });
}

bool stands_in_any(std::vector<cache::Path> const& folders) {
  std::error_code error;
  return std::ranges::any_of(
      folders, [&](cache::Path const& folder) { return std::filesystem::exists(folder, error); });
}

tl::unexpected<Error> needed(RegisteredModel const& model, std::string_view what) {
  return fail(Code::kFailedPrecondition,
              fmt::format("it is {} as '{}'; {}, or use --force",
                          model.loaded ? "loaded" : "registered", model.name, what));
}

/// True when the row must change.
Result<bool> is_affected(cache::Locations const& locations, RegisteredModel const& model,
                         Journey const& journey) {
  auto const source = journey.source / journey.folder;
  auto const target = journey.target / journey.folder;
  bool const at_target = is_same_place(journey.source, journey.target);
  if (!at_target && names_path_below(model, source) && !journey.force)
    return needed(model, "its path leads there: remove that registration (homelab-llm rm NAME)");
  auto const folders = repo_folders_of(locations, model);
  if (folders.empty() || folders.front().filename() != journey.folder) return false;
  if (at_target) return !is_among(target, folders) && !stands_in_any(folders);
  if (!is_among(source, folders)) return false;
  if (model.loaded && !journey.force) return needed(model, "unload it (homelab-llm unload)");
  return !is_among(target, folders);
}

}  // namespace

bool is_same_place(cache::Path const& one, cache::Path const& other) {
  std::error_code error;
  return std::filesystem::weakly_canonical(one, error) ==
         std::filesystem::weakly_canonical(other, error);
}

Result<std::vector<RegisteredModel>> rows_to_relocate(cache::Locations const& locations,
                                                      std::vector<RegisteredModel> const& models,
                                                      Journey const& journey) {
  std::vector<RegisteredModel> rows;
  for (auto const& model : models) {
    ASSIGN_OR_RETURN(bool const affected, is_affected(locations, model, journey));
    if (affected) rows.push_back(model);
  }
  return rows;
}

}  // namespace homelab::care
