#include "cache_work.h"

#include <set>

#include "config/settings.h"
#include "relocation.h"
#include "unused_write.h"
#include "update_check.h"

namespace homelab::api {
namespace {

Result<std::vector<care::RegisteredModel>> registered_models(Services const& services) {
  ASSIGN_OR_RETURN(auto const rows, services.registry.list());
  std::set<std::string> loaded;
  for (auto const& model : services.engines.all_loaded()) loaded.insert(model.name);
  std::vector<care::RegisteredModel> models;
  models.reserve(rows.size());
  for (auto const& row : rows)
    models.push_back({row.model_name, row.hf_path, row.cache_location, row.cache_path,
                      row.current_commit.value_or(""), loaded.contains(row.model_name)});
  return models;
}

/// What is in use has its own truth: the load that is going on, or was, wrote it.
Status record_update(Services const& services, std::vector<std::string> const& names,
                     std::string const& commit) {
  for (auto const& name : names) {
    ASSIGN_OR_RETURN(auto const row, services.registry.find(name));
    auto const written = write_if_unused<registry::Model>(
        services, {name},
        [&services, id = row.id, commit] { return services.registry.record_update(id, commit); });
    if (!written && written.error().code != Code::kFailedPrecondition)
      return fail(Error(written.error()));
  }
  return {};
}

}  // namespace

care::Work work_of(Services const& services) {
  care::Work work{.locations = services.locations, .trash_time = services.settings.trash_time()};
  work.models = [&services] { return registered_models(services); };
  work.record_checks = [&services](std::vector<care::UpdateCheck> const& checks) -> Status {
    for (auto const& check : checks)
      RETURN_IF_ERROR(
          record_check(services.registry, check.name, check.available, check.local_commit));
    return {};
  };
  work.record_update = [&services](std::vector<std::string> const& names,
                                   std::string const& commit) {
    return record_update(services, names, commit);
  };
  work.relocate = [&services](care::Relocation const& relocation, bool force) -> Status {
    ASSIGN_OR_RETURN([[maybe_unused]] auto const rows, relocate(services, relocation, force));
    return {};
  };
  work.hub = &services.hub;
  return work;
}

care::Work work_of(Services const& services, jobs::JobControl& control) {
  auto work = work_of(services);
  work.stopped = [&control] { return control.is_cancelled(); };
  work.on_progress = [&control](care::Progress const& progress) {
    control.show({progress.what, progress.done_bytes, progress.total_bytes, progress.done_files,
                  progress.total_files});
  };
  work.remark = [&control](std::string const& words) { control.remark(words); };
  return work;
}

}  // namespace homelab::api
