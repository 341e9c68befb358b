#pragma once
// Repositories of the cache folders as rows for people.
#include <string>
#include <vector>

#include "care/repo_rows.h"

namespace homelab::cli {

using care::find_cached_repo;
using care::list_cached_repos;
using care::PlacedScan;
using care::RepoRow;
using care::RepoRows;
using care::time_json;
using care::to_row;

[[nodiscard]] std::string repo_table(std::vector<RepoRow> const& repos);
/// Revisions and files of one repository.
[[nodiscard]] std::string repo_text(PlacedScan const& repo);

}  // namespace homelab::cli
