#pragma once
// What rm, gc and prune say and ask: the plan, the question, the outcome.
#include <string>
#include <vector>

#include "../context.h"
#include "care/removal.h"
#include "commands.h"

namespace homelab::cli {

[[nodiscard]] inline care::RemovalChoice choice_of(RemovalFlags const& flags) {
  return {{flags.location, flags.path}, flags.force, flags.dry_run, flags.now};
}

/// Shows the plans, asks, carries them out, and says what became of them. `reason` stands in the
/// trash's list. Gives the exit code: 1 when something was skipped.
[[nodiscard]] Result<int> carry_out(Context const& context, care::Work const& work,
                                    std::vector<cache::RemovalPlan> const& plans,
                                    RemovalFlags const& flags, std::string const& reason);

[[nodiscard]] std::string plan_text(std::vector<cache::RemovalPlan> const& plans);

/// True when the user agrees; kInvalidArgument when there is nobody to ask.
[[nodiscard]] Result<bool> agrees(std::string const& question);

}  // namespace homelab::cli
