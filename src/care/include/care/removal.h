#pragma once
// What goes out of the cache: `cache rm`, `gc` and `prune`. First the plans, which change nothing;
// remove() carries them out.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "cache/removal.h"
#include "care/work.h"

namespace homelab::care {

using RemovalPlans = std::vector<cache::RemovalPlan>;

/// What rm, gc and prune have in common.
struct RemovalChoice {
  Place place;
  bool force = false;  ///< also what a registered model or a running engine needs
  bool dry_run = false;
  bool now = false;  ///< not into the trash
};

struct RmChoice {
  std::vector<std::string> targets;  ///< cache::RemovalTarget
  RemovalChoice common;
};
/// kFailedPrecondition when something of it is needed, unless forced or only planned.
[[nodiscard]] Result<RemovalPlans> plan(Work const& work, RmChoice const& choice);

struct GcChoice {
  std::string older_than = "24h";  ///< "30m", "24h", "7d", "90s"; a number alone is hours
  bool partials = false;           ///< own unfinished downloads too, however young
  RemovalChoice common;
};
/// Also empties what was in the trash for too long, unless only planned.
[[nodiscard]] Result<RemovalPlans> plan(Work const& work, GcChoice const& choice);
/// Nanoseconds; kInvalidArgument names what was expected.
[[nodiscard]] Result<std::int64_t> parse_age(std::string_view text);

struct PruneChoice {
  std::vector<std::string> repos;  ///< empty: all
  std::size_t keep = 0;            ///< so many of the newest revisions of each stay
  RemovalChoice common;
};
/// What is needed simply stays.
[[nodiscard]] Result<RemovalPlans> plan(Work const& work, PruneChoice const& choice);

[[nodiscard]] std::uint64_t frees_bytes(RemovalPlans const& plans);
[[nodiscard]] std::size_t items_of(RemovalPlans const& plans);

struct RemovalOutcome {
  std::vector<cache::RemovalReport> reports;
  std::uint64_t freed_bytes = 0;
  std::size_t removed = 0;
  std::vector<cache::Kept> skipped;
  bool cancelled = false;
  [[nodiscard]] bool complete() const { return skipped.empty() && !cancelled; }
};

struct RemovalHow {
  bool now = false;    ///< not into the trash
  std::string reason;  ///< stands in the trash's list: "cache rm org/name"
};
/// Carries the plans out, each under the locks of its repository. What could not be removed is in
/// `skipped`. Trash that is too old goes first.
[[nodiscard]] RemovalOutcome remove(Work const& work, RemovalPlans const& plans,
                                    RemovalHow const& how);

[[nodiscard]] json::object to_json(RemovalPlans const& plans, bool dry_run,
                                   RemovalOutcome const& outcome);

/// Deletes what has been in the trash for longer than the work's trash_time; failures are remarks.
void expire_trash(Work const& work, std::vector<cache::Path> const& hub_folders);

[[nodiscard]] Result<Answer> run(Work const& work, RmChoice const& choice);
[[nodiscard]] Result<Answer> run(Work const& work, GcChoice const& choice);
[[nodiscard]] Result<Answer> run(Work const& work, PruneChoice const& choice);

}  // namespace homelab::care
