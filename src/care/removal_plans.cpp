#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/strings.h"
#include "cache/hub_clean_up.h"
#include "care/printable.h"
#include "care/removal.h"

namespace homelab::care {
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

Result<cache::GcRules> rules_of(GcChoice const& choice) {
  cache::GcRules rules;
  ASSIGN_OR_RETURN(rules.older_than_ns, parse_age(choice.older_than));
  if (choice.partials) rules.own_partials_older_than_ns = 0;
  rules.now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                     std::chrono::system_clock::now().time_since_epoch())
                     .count();
  return rules;
}

/// What is needed was not asked for by name here: it simply stays.
void keep_what_is_needed(cache::RemovalPlan& plan) {
  plan.kept.insert(plan.kept.end(), plan.refused.begin(), plan.refused.end());
  plan.refused.clear();
}

/// Folder names of whole repositories.
Result<std::vector<std::string>> folders_of(std::vector<std::string> const& words) {
  std::vector<std::string> folders;
  for (std::string const& word : words) {
    ASSIGN_OR_RETURN(auto const target, cache::RemovalTarget::parse(word));
    if (target.revision || target.file)
      return fail(Code::kInvalidArgument,
                  "prune takes whole repositories; a revision or file goes with: homelab-llm cache "
                  "rm " +
                      word);
    folders.push_back(target.folder_name());
  }
  return folders;
}

Result<Answer> carry_out(Work const& work, RemovalPlans const& plans, RemovalChoice const& choice,
                         std::string const& reason) {
  if (items_of(plans) == 0 || choice.dry_run) return Answer{to_json(plans, choice.dry_run, {})};
  auto const outcome = remove(work, plans, {choice.now, reason});
  return Answer{to_json(plans, false, outcome), outcome.complete()};
}

}  // namespace

Result<std::int64_t> parse_age(std::string_view text) {
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

Result<RemovalPlans> plan(Work const& work, RmChoice const& choice) {
  std::vector<cache::RemovalTarget> targets;
  for (std::string const& word : choice.targets) {
    ASSIGN_OR_RETURN(auto target, cache::RemovalTarget::parse(word));
    targets.push_back(std::move(target));
  }
  auto const& common = choice.common;
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(work.locations, common.place));
  ASSIGN_OR_RETURN(auto const needs, needs_of_models(work));
  ASSIGN_OR_RETURN(auto plans, cache::plan_targets(hubs, targets, needs, common.force));
  for (auto const& plan : plans)
    if (!plan.refused.empty() && !common.dry_run)
      return fail(Code::kFailedPrecondition,
                  fmt::format("{} stays: {}; nothing was removed{}",
                              printable(plan.refused.front().path), plan.refused.front().why,
                              common.force ? "" : " (--force removes what models need)"));
  return plans;
}

Result<RemovalPlans> plan(Work const& work, GcChoice const& choice) {
  ASSIGN_OR_RETURN(auto const rules, rules_of(choice));
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(work.locations, choice.common.place));
  auto const propose = [&](cache::RepoScan const& scan, cache::DiskFacts const& facts) {
    return cache::propose_gc(scan, facts, rules);
  };
  RemovalPlans plans;
  for (auto const& hub : hubs) {
    // No revision goes, so nothing that a model could need.
    ASSIGN_OR_RETURN(auto const found, cache::plan_hub(hub, propose, {}, false));
    plans.insert(plans.end(), found.begin(), found.end());
    ASSIGN_OR_RETURN(auto beside, cache::plan_hub_clean_up(
                                      hub, {rules.now_ns, rules.older_than_ns, work.trash_time}));
    if (!beside.items.empty() || !beside.kept.empty()) plans.push_back(std::move(beside));
  }
  if (!choice.common.dry_run) expire_trash(work, hubs);
  return plans;
}

Result<RemovalPlans> plan(Work const& work, PruneChoice const& choice) {
  ASSIGN_OR_RETURN(auto const folders, folders_of(choice.repos));
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(work.locations, choice.common.place));
  ASSIGN_OR_RETURN(auto const needs, needs_of_models(work));
  auto const propose = [&](cache::RepoScan const& scan, cache::DiskFacts const&) {
    bool const meant = folders.empty() ||
                       std::ranges::find(folders, scan.folder.filename().string()) != folders.end();
    return meant ? cache::propose_prune(scan, choice.keep) : cache::Proposal{};
  };
  RemovalPlans plans;
  for (auto const& hub : hubs) {
    ASSIGN_OR_RETURN(auto found, cache::plan_hub(hub, propose, needs, choice.common.force));
    for (auto& plan : found) {
      keep_what_is_needed(plan);
      plans.push_back(std::move(plan));
    }
  }
  return plans;
}

Result<Answer> run(Work const& work, RmChoice const& choice) {
  ASSIGN_OR_RETURN(auto const plans, plan(work, choice));
  return carry_out(work, plans, choice.common,
                   fmt::format("cache rm {}", fmt::join(choice.targets, " ")));
}

Result<Answer> run(Work const& work, GcChoice const& choice) {
  ASSIGN_OR_RETURN(auto const plans, plan(work, choice));
  return carry_out(work, plans, choice.common, "cache gc");
}

Result<Answer> run(Work const& work, PruneChoice const& choice) {
  ASSIGN_OR_RETURN(auto const plans, plan(work, choice));
  return carry_out(work, plans, choice.common, "cache prune");
}

}  // namespace homelab::care
