#include "needs.h"

#include "../server_link.h"

namespace homelab::cli {

Result<std::vector<care::RegisteredModel>> registered_models(Context const& context) {
  ASSIGN_OR_RETURN(auto link, ServerLink::connect_or_start(context));
  ASSIGN_OR_RETURN(auto const rows, list_models(link.api()));
  ASSIGN_OR_RETURN(auto const loaded, loaded_models(link.api()));
  std::vector<care::RegisteredModel> models;
  models.reserve(rows.size());
  for (ModelRow const& row : rows)
    models.push_back({row.name, row.hf_path, row.location, row.cache_path,
                      get_string(row.raw, "current_commit").value_or(""),
                      loaded.contains(row.name)});
  return models;
}

Status record_checks(Context const& context, std::vector<care::UpdateCheck> const& checks) {
  ASSIGN_OR_RETURN(auto link, ServerLink::connect_or_start(context));
  for (auto const& check : checks) {
    json::object body{{"update_available", check.available}};
    if (check.local_commit) body["local_commit"] = *check.local_commit;
    RETURN_IF_ERROR(link.api().post(model_target(check.name) + "/updates", body));
  }
  return {};
}

Status relocate_models(Context const& context, care::Relocation const& relocation, bool force) {
  ASSIGN_OR_RETURN(auto link, ServerLink::connect_or_start(context));
  json::array names;
  for (auto const& name : relocation.names) names.emplace_back(name);
  json::object const body{{"model_names", std::move(names)},
                          {"cache_location", relocation.location},
                          {"cache_path", relocation.root},
                          {"force", force}};
  auto const answer = link.api().post("/api/models/relocate", body);
  if (!answer) return fail(Error(answer.error()));
  return {};
}

}  // namespace homelab::cli
