// cache ls: what stands in the cache folders, read from the disk. A running server is asked only
// which registered models use it.
#include <fmt/format.h>

#include <algorithm>

#include "../context.h"
#include "../exit_code.h"
#include "../server_link.h"
#include "../stop_signal.h"
#include "../table.h"
#include "cli/settings_locations.h"
#include "commands.h"
#include "repo_rows.h"

namespace homelab::cli {
namespace {

constexpr std::size_t kShownProblems = 20;

void remark_problems(Output const& out, std::vector<cache::Problem> const& problems) {
  for (std::size_t i = 0; i < std::min(problems.size(), kShownProblems); ++i)
    out.remark(printable(problems[i].path.string() + ": " + problems[i].what));
  if (problems.size() > kShownProblems)
    out.remark(
        fmt::format("and {} more problems; see all with --json", problems.size() - kShownProblems));
}

/// Names of the registered models, by repository and location; nothing when no server runs.
void add_registrations(Context const& context, std::vector<RepoRow>& repos) {
  auto const link = ServerLink::connect(context);
  if (!link) return;
  auto const models = list_models(link->api());
  if (!models)
    return context.out.remark("registered models are not known: " + models.error().message);
  std::vector<care::RegisteredModel> registered;
  for (auto const& model : *models)
    registered.push_back({model.name, model.hf_path, model.location, model.cache_path, "", false});
  care::add_registrations(registered, repos);
}

Result<int> list_all(Context const& context, cache::Locations const& locations) {
  StopSignal const signal;
  ASSIGN_OR_RETURN(auto rows, list_cached_repos(locations, StopSignal::raised));
  add_registrations(context, rows.repos);
  json::array value;
  auto problems = rows.problems;
  for (auto const& repo : rows.repos) {
    if (context.out.json()) value.push_back(to_json(repo));
    // With --json they stand in the value.
    if (!context.out.json())
      problems.insert(problems.end(), repo.problems.begin(), repo.problems.end());
  }
  if (!context.out.json()) {
    context.out.text(rows.repos.empty() ? "the cache folders hold no repositories\n"
                                        : repo_table(rows.repos));
  }
  context.out.value(value);
  remark_problems(context.out, problems);
  return kExitDone;
}

Result<int> list_one(Context const& context, cache::Locations const& locations,
                     std::string const& word) {
  ASSIGN_OR_RETURN(auto const found, find_cached_repo(locations, word));
  std::vector<RepoRow> rows;
  for (auto const& repo : found) rows.push_back(to_row(repo.scan, repo.location));
  add_registrations(context, rows);
  json::array value;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (i > 0) context.out.text("\n");
    context.out.text(repo_text(found[i]));
    if (rows[i].registered_as && !rows[i].registered_as->empty())
      context.out.text(
          printable(fmt::format("\nregistered as: {}", fmt::join(*rows[i].registered_as, ", "))) +
          "\n");
    if (!context.out.json()) remark_problems(context.out, found[i].scan.problems);
    value.push_back(to_json(found[i], rows[i]));
  }
  context.out.value(value);
  return kExitDone;
}

}  // namespace

Result<int> execute(Context const& context, CacheLsCommand const& command) {
  auto const locations = locations_of(context.settings);
  if (command.repo.empty()) return list_all(context, locations);
  return list_one(context, locations, command.repo);
}

}  // namespace homelab::cli
