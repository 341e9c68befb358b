// cache prune: revisions that no ref names.
#include "care_work.h"
#include "commands.h"
#include "removal_talk.h"

namespace homelab::cli {

Result<int> execute(Context const& context, CachePruneCommand const& command) {
  CareWork const surroundings(context);
  ASSIGN_OR_RETURN(auto const plans,
                   care::plan(surroundings.work(), care::PruneChoice{command.repos, command.keep,
                                                                     choice_of(command.flags)}));
  return carry_out(context, surroundings.work(), plans, command.flags, "cache prune");
}

}  // namespace homelab::cli
