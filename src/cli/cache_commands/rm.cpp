// cache rm: repositories, revisions and files that the user names.
#include <fmt/format.h>

#include "../table.h"
#include "cache/removal.h"
#include "commands.h"
#include "hub_choice.h"
#include "needs.h"
#include "removal_talk.h"

namespace homelab::cli {

Result<int> execute(Context const& context, CacheRmCommand const& command) {
  std::vector<cache::RemovalTarget> targets;
  for (std::string const& word : command.targets) {
    ASSIGN_OR_RETURN(auto target, cache::RemovalTarget::parse(word));
    targets.push_back(std::move(target));
  }
  auto const& flags = command.flags;
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(context, flags.location, flags.path));
  ASSIGN_OR_RETURN(auto const needs, needs_of_models(context));
  ASSIGN_OR_RETURN(auto const plans, cache::plan_targets(hubs, targets, needs, flags.force));
  for (auto const& plan : plans)
    if (!plan.refused.empty() && !flags.dry_run)
      return fail(Code::kFailedPrecondition,
                  fmt::format("{} stays: {}; nothing was removed{}",
                              printable(plan.refused.front().path), plan.refused.front().why,
                              flags.force ? "" : " (--force removes what models need)"));
  return carry_out(context, plans, flags,
                   fmt::format("cache rm {}", fmt::join(command.targets, " ")));
}

}  // namespace homelab::cli
