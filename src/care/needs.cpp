#include <fmt/format.h>

#include "care/work.h"

namespace homelab::care {
namespace {

void add_needs(std::vector<cache::Need>& needs, cache::Locations const& locations,
               RegisteredModel const& model, NeededCommits commits) {
  std::string const why =
      fmt::format("{} as '{}'", model.loaded ? "loaded" : "registered", model.name);
  auto const reference = cache::ModelReference::parse(model.hf_path);
  if (is_local_path(model.hf_path) || !reference) {
    needs.push_back({absolute_path(model.hf_path), std::nullopt, std::nullopt, why});
    return;
  }
  auto const kind =
      cache::parse_location_kind(model.location).value_or(cache::LocationKind::kCustom);
  auto const resolved = locations.resolve(kind, model.cache_path);
  std::vector<cache::Path> hubs{resolved.hub.path};
  for (auto const& other : locations.readable_hub_folders(resolved)) hubs.push_back(other);
  std::optional<cache::CommitHash> commit;
  if (model.loaded || commits == NeededCommits::kOfAll) {
    auto parsed = cache::CommitHash::parse(model.current_commit);
    if (parsed) commit = std::move(*parsed);
  }
  for (auto const& hub : hubs)
    needs.push_back(
        {cache::RepoFolder(hub, reference->repo).path(), reference->revision.text(), commit, why});
}

}  // namespace

std::vector<cache::Need> needs_of(cache::Locations const& locations,
                                  std::vector<RegisteredModel> const& models,
                                  NeededCommits commits) {
  std::vector<cache::Need> needs;
  for (RegisteredModel const& model : models) add_needs(needs, locations, model, commits);
  return needs;
}

Result<std::vector<cache::Need>> needs_of_models(Work const& work) {
  if (!work.models) return fail(Code::kInternal, "nobody knows which models are registered");
  ASSIGN_OR_RETURN(auto const models, work.models());
  return needs_of(work.locations, models, NeededCommits::kOfAll);
}

}  // namespace homelab::care
