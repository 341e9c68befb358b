#include "needs.h"

#include <fmt/format.h>

#include "../locations.h"
#include "../server_link.h"

namespace homelab::cli {
namespace {

void add_needs(std::vector<cache::Need>& needs, cache::Locations const& locations,
               ModelRow const& row, std::string const& why) {
  auto const reference = cache::ModelReference::parse(row.hf_path);
  if (is_local_path(row.hf_path) || !reference) {
    needs.push_back({absolute_path(row.hf_path), std::nullopt, std::nullopt, why});
    return;
  }
  auto const kind = cache::parse_location_kind(row.location).value_or(cache::LocationKind::kCustom);
  auto const resolved = locations.resolve(kind, row.cache_path);
  std::vector<cache::Path> hubs{resolved.hub.path};
  for (auto const& other : locations.readable_hub_folders(resolved)) hubs.push_back(other);
  auto const text = get_string(row.raw, "current_commit").value_or("");
  auto commit = cache::CommitHash::parse(text);
  for (auto const& hub : hubs) {
    cache::Need need{cache::RepoFolder(hub, reference->repo).path(), reference->revision.text(),
                     std::nullopt, why};
    if (commit) need.commit = *commit;
    needs.push_back(std::move(need));
  }
}

}  // namespace

Result<std::vector<cache::Need>> needs_of_models(Context const& context) {
  ASSIGN_OR_RETURN(auto link, ServerLink::connect_or_start(context));
  ASSIGN_OR_RETURN(auto const rows, list_models(link.api()));
  ASSIGN_OR_RETURN(auto const status, link.api().get("/api/status"));
  auto const* object = status.if_object();
  std::string const loaded =
      object == nullptr ? "" : get_string(*object, "loaded_model").value_or("");
  auto const locations = locations_of(context.settings);
  std::vector<cache::Need> needs;
  for (ModelRow const& row : rows)
    add_needs(needs, locations, row,
              row.name == loaded ? fmt::format("loaded as '{}'", row.name)
                                 : fmt::format("registered as '{}'", row.name));
  return needs;
}

}  // namespace homelab::cli
