// cache gc: what nobody needs.
#include "care_work.h"
#include "commands.h"
#include "removal_talk.h"

namespace homelab::cli {

Result<int> execute(Context const& context, CacheGcCommand const& command) {
  CareWork const surroundings(context);
  ASSIGN_OR_RETURN(auto const plans, care::plan(surroundings.work(),
                                                care::GcChoice{command.older_than, command.partials,
                                                               choice_of(command.flags)}));
  return carry_out(context, surroundings.work(), plans, command.flags, "cache gc");
}

}  // namespace homelab::cli
