// cache rm: repositories, revisions and files that the user names.
#include <fmt/format.h>

#include "care_work.h"
#include "commands.h"
#include "removal_talk.h"

namespace homelab::cli {

Result<int> execute(Context const& context, CacheRmCommand const& command) {
  CareWork const surroundings(context);
  ASSIGN_OR_RETURN(
      auto const plans,
      care::plan(surroundings.work(), care::RmChoice{command.targets, choice_of(command.flags)}));
  return carry_out(context, surroundings.work(), plans, command.flags,
                   fmt::format("cache rm {}", fmt::join(command.targets, " ")));
}

}  // namespace homelab::cli
