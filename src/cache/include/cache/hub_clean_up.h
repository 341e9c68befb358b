#pragma once
// What lies in a hub folder beside the repositories and is of no use to anybody: payloads of the
// shared store that no repository uses, temporaries that a killed program left, and old contents of
// the quarantine (hf-cache rules, §5, §6, §10.15).
#include <chrono>
#include <cstdint>

#include "base/result.h"
#include "cache/removal.h"

namespace homelab::cache {

struct HubCleanUpRules {
  std::int64_t now_ns = 0;                 ///< since 1970, UTC
  std::int64_t older_than_ns = 0;          ///< payloads and temporaries, by their modification
  std::chrono::seconds quarantine_age{0};  ///< damaged content, since it was put away
};

/// A plan for execute_removal() whose `repo_folder_name` is empty: payloads (kPayload), temporaries
/// and quarantined content (kLeftover), paths relative to the hub folder. What is found there goes
/// at once and not into the trash, because nothing leads to it. A payload goes only when its
/// manifest says that nobody uses it, no blob of any repository leads to it, and its lock is free;
/// payloads without a readable manifest stay and are in `kept`. An empty plan when there is
/// nothing.
[[nodiscard]] Result<RemovalPlan> plan_hub_clean_up(Path const& hub_folder,
                                                    HubCleanUpRules const& rules);

}  // namespace homelab::cache
