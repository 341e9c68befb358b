// cache gc: what nobody needs.
#include <fmt/format.h>

#include <chrono>

#include "base/strings.h"
#include "cache/removal.h"
#include "commands.h"
#include "hub_choice.h"
#include "removal_talk.h"

namespace homelab::cli {
namespace {

constexpr std::uint64_t kMaxSeconds = std::uint64_t{100} * 365 * 24 * 3600;

std::optional<std::uint64_t> seconds_of_unit(char unit) {
  switch (unit) {
    case 's':
      return 1;
    case 'm':
      return 60;
    case 'h':
      return 3600;
    case 'd':
      return 24 * 3600;
    default:
      return std::nullopt;
  }
}

/// "30m", "24h", "7d", "90s"; a number alone is hours.
Result<std::int64_t> nanoseconds_of(std::string_view text) {
  std::string_view digits = text;
  std::uint64_t unit = 3600;
  if (!text.empty())
    if (auto const named = seconds_of_unit(text.back())) {
      unit = *named;
      digits.remove_suffix(1);
    }
  auto const number = parse_uint(digits);
  if (!number || *number > kMaxSeconds / unit)
    return fail(Code::kInvalidArgument,
                fmt::format("--older-than is '{}'; expected a time like 30m, 24h or 7d", text));
  return std::chrono::nanoseconds(std::chrono::seconds(static_cast<std::int64_t>(*number * unit)))
      .count();
}

Result<cache::GcRules> rules_of(CacheGcCommand const& command) {
  cache::GcRules rules;
  ASSIGN_OR_RETURN(rules.older_than_ns, nanoseconds_of(command.older_than));
  if (command.partials) rules.own_partials_older_than_ns = 0;
  rules.now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                     std::chrono::system_clock::now().time_since_epoch())
                     .count();
  return rules;
}

}  // namespace

Result<int> execute(Context const& context, CacheGcCommand const& command) {
  auto const& flags = command.flags;
  ASSIGN_OR_RETURN(auto const rules, rules_of(command));
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(context, flags.location, flags.path));
  std::vector<cache::RemovalPlan> plans;
  auto const propose = [&](cache::RepoScan const& scan, cache::DiskFacts const& facts) {
    return cache::propose_gc(scan, facts, rules);
  };
  for (auto const& hub : hubs) {
    // No revision goes, so nothing that a model could need.
    ASSIGN_OR_RETURN(auto const found, cache::plan_hub(hub, propose, {}, false));
    plans.insert(plans.end(), found.begin(), found.end());
  }
  if (!flags.dry_run) expire_trash(context, hubs);
  return carry_out(context, plans, flags, "cache gc");
}

}  // namespace homelab::cli
