#include "care/printable.h"
#include "care/repo_rows.h"

namespace homelab::care {
namespace {

Status add_models(Work const& work, std::vector<RepoRow>& repos) {
  if (!work.models) return {};
  ASSIGN_OR_RETURN(auto const models, work.models());
  add_registrations(models, repos);
  return {};
}

/// A registration in a custom root means that root only.
bool is_where(RegisteredModel const& model, RepoRow const& repo) {
  if (model.location != repo.location) return false;
  if (repo.location != to_string(cache::LocationKind::kCustom) || !model.cache_path) return true;
  return repo.folder.string().starts_with(*model.cache_path + "/");
}

}  // namespace

void add_registrations(std::vector<RegisteredModel> const& models, std::vector<RepoRow>& repos) {
  for (auto& repo : repos) {
    repo.registered_as.emplace();
    for (auto const& model : models) {
      auto const reference = cache::ModelReference::parse(model.hf_path);
      if (reference && repo.type == cache::RepoType::kModel && reference->repo.text() == repo.id &&
          is_where(model, repo))
        repo.registered_as->push_back(model.name);
    }
  }
}

Result<Answer> ls(Work const& work, std::string const& repo) {
  json::array value;
  if (repo.empty()) {
    ASSIGN_OR_RETURN(auto rows, list_cached_repos(work.locations, work.stopped));
    RETURN_IF_ERROR(add_models(work, rows.repos));
    for (auto const& row : rows.repos) value.push_back(to_json(row));
    for (auto const& problem : rows.problems)
      work.remark(printable(problem.path.string() + ": " + problem.what));
    return Answer{std::move(value)};
  }
  ASSIGN_OR_RETURN(auto const found, find_cached_repo(work.locations, repo));
  std::vector<RepoRow> rows;
  for (auto const& one : found) rows.push_back(to_row(one.scan, one.location));
  RETURN_IF_ERROR(add_models(work, rows));
  for (std::size_t i = 0; i < found.size(); ++i) value.push_back(to_json(found[i], rows[i]));
  return Answer{std::move(value)};
}

}  // namespace homelab::care
