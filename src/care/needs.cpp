#include <fmt/format.h>

#include "care/work.h"

namespace homelab::care {
namespace {

void add_needs(std::vector<cache::Need>& needs, cache::Locations const& locations,
               RegisteredModel const& model) {
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
  auto const commit = cache::CommitHash::parse(model.current_commit);
  for (auto const& hub : hubs) {
    cache::Need need{cache::RepoFolder(hub, reference->repo).path(), reference->revision.text(),
                     std::nullopt, why};
    if (commit) need.commit = *commit;
    needs.push_back(std::move(need));
  }
}

}  // namespace

Result<std::vector<cache::Need>> needs_of_models(Work const& work) {
  if (!work.models) return fail(Code::kInternal, "nobody knows which models are registered");
  ASSIGN_OR_RETURN(auto const models, work.models());
  std::vector<cache::Need> needs;
  for (RegisteredModel const& model : models) add_needs(needs, work.locations, model);
  return needs;
}

}  // namespace homelab::care
