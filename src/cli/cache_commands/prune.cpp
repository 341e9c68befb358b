// cache prune: revisions that no ref names.
#include <algorithm>

#include "cache/removal.h"
#include "commands.h"
#include "hub_choice.h"
#include "needs.h"
#include "removal_talk.h"

namespace homelab::cli {
namespace {

/// What is needed was not asked for by name here: it simply stays.
void keep_what_is_needed(cache::RemovalPlan& plan) {
  plan.kept.insert(plan.kept.end(), plan.refused.begin(), plan.refused.end());
  plan.refused.clear();
}

}  // namespace

Result<int> execute(Context const& context, CachePruneCommand const& command) {
  std::vector<std::string> folders;
  for (std::string const& word : command.repos) {
    ASSIGN_OR_RETURN(auto const target, cache::RemovalTarget::parse(word));
    if (target.revision || target.file)
      return fail(Code::kInvalidArgument,
                  "prune takes whole repositories; a revision or file goes with: homelab-llm cache "
                  "rm " +
                      word);
    folders.push_back(target.folder_name());
  }
  auto const& flags = command.flags;
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(context, flags.location, flags.path));
  ASSIGN_OR_RETURN(auto const needs, needs_of_models(context));
  auto const propose = [&](cache::RepoScan const& scan, cache::DiskFacts const&) {
    bool const meant = folders.empty() ||
                       std::ranges::find(folders, scan.folder.filename().string()) != folders.end();
    return meant ? cache::propose_prune(scan, command.keep) : cache::Proposal{};
  };
  std::vector<cache::RemovalPlan> plans;
  for (auto const& hub : hubs) {
    ASSIGN_OR_RETURN(auto found, cache::plan_hub(hub, propose, needs, flags.force));
    for (auto& plan : found) {
      keep_what_is_needed(plan);
      plans.push_back(std::move(plan));
    }
  }
  return carry_out(context, plans, flags, "cache prune");
}

}  // namespace homelab::cli
