#pragma once
// What rm, gc and prune say and ask: the plan, the question, the outcome.
#include <string>
#include <vector>

#include "../context.h"
#include "base/json.h"
#include "cache/removal.h"
#include "commands.h"

namespace homelab::cli {

/// Shows the plans, asks, carries them out, and says what became of them. `reason` stands in the
/// trash's list. Gives the exit code: 1 when something was skipped.
[[nodiscard]] Result<int> carry_out(Context const& context,
                                    std::vector<cache::RemovalPlan> const& plans,
                                    RemovalFlags const& flags, std::string const& reason);

/// Deletes what has been in the trash for longer than the settings say.
void expire_trash(Context const& context, std::vector<cache::Path> const& hub_folders);

[[nodiscard]] std::string plan_text(std::vector<cache::RemovalPlan> const& plans);
[[nodiscard]] json::array to_json(std::vector<cache::RemovalPlan> const& plans);

/// True when the user agrees; kInvalidArgument when there is nobody to ask.
[[nodiscard]] Result<bool> agrees(std::string const& question);

}  // namespace homelab::cli
