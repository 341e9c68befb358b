#include "care/move.h"

#include <fmt/format.h>

#include <algorithm>

#include "care/printable.h"

namespace homelab::care {
namespace {

bool is_same(cache::Path const& one, cache::Path const& other) {
  std::error_code error;
  return std::filesystem::weakly_canonical(one, error) ==
         std::filesystem::weakly_canonical(other, error);
}

Result<cache::Path> target_hub(Work const& work, MvChoice const& choice) {
  if (choice.to.empty() && choice.path.empty())
    return fail(Code::kInvalidArgument, "cache mv needs --to LOCATION or --path FOLDER");
  ASSIGN_OR_RETURN(auto const chosen, choose_one(work.locations, {choice.to, choice.path}));
  return chosen.resolved.hub.path;
}

/// The one hub folder beside the target that has the repository; the target itself when no other
/// has it (an earlier try got through).
Result<cache::Path> source_hub(Work const& work, MvChoice const& choice, cache::Path const& target,
                               std::string const& folder) {
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(work.locations, {choice.from, ""}));
  std::vector<cache::Path> found;
  std::error_code error;
  // A link is another name of a repository elsewhere.
  auto const stands_in = [&](cache::Path const& hub) {
    return std::filesystem::is_directory(std::filesystem::symlink_status(hub / folder, error));
  };
  for (auto const& hub : hubs)
    if (!is_same(hub, target) && stands_in(hub)) found.push_back(hub);
  if (found.size() > 1)
    return fail(Code::kInvalidArgument,
                fmt::format("{} is in {} and in {}; say which one with --from", choice.repo,
                            found[0].string(), found[1].string()));
  if (!found.empty()) return found.front();
  if (stands_in(target)) return target;
  return fail(Code::kNotFound, fmt::format("{} is in none of the cache folders", choice.repo));
}

/// A registered model must find its files at the new place, too.
Status check_needs(Work const& work, cache::Path const& source, cache::Path const& target,
                   std::string const& folder) {
  ASSIGN_OR_RETURN(auto const needs, needs_of_models(work));
  for (auto const& need : needs) {
    auto const rest = need.path.lexically_relative(source / folder);
    bool const inside =
        is_same(need.path, source / folder) || (!rest.empty() && *rest.begin() != "..");
    if (!inside) continue;
    bool const found_there = std::ranges::any_of(needs, [&](cache::Need const& other) {
      return other.why == need.why && is_same(other.path, target / folder);
    });
    if (found_there && !need.why.starts_with("loaded")) continue;
    return fail(Code::kFailedPrecondition,
                fmt::format("it is {}; unload it, remove that registration (homelab-llm rm NAME), "
                            "move, and register it again with --location, or use --force",
                            need.why));
  }
  return {};
}

}  // namespace

Result<PlannedMove> plan(Work const& work, MvChoice const& choice) {
  ASSIGN_OR_RETURN(auto const repo, cache::RemovalTarget::parse(choice.repo));
  if (repo.revision || repo.file)
    return fail(Code::kInvalidArgument, "cache mv moves whole repositories: ORG/NAME");
  PlannedMove out;
  out.choice = choice;
  auto& request = out.request;
  request.repo_folder_name = repo.folder_name();
  ASSIGN_OR_RETURN(request.to_hub, target_hub(work, choice));
  ASSIGN_OR_RETURN(request.from_hub,
                   source_hub(work, choice, request.to_hub, request.repo_folder_name));
  out.needless = is_same(request.from_hub, request.to_hub);
  if (out.needless) return out;
  if (!choice.force)
    RETURN_IF_ERROR(check_needs(work, request.from_hub, request.to_hub, request.repo_folder_name));
  ASSIGN_OR_RETURN(out.plan, cache::plan_move(request));
  return out;
}

Result<cache::MoveReport> move(Work const& work, PlannedMove const& planned) {
  auto request = planned.request;
  request.cancelled = work.stopped;
  request.on_progress = [&](std::uint64_t done, std::uint64_t total) {
    work.on_progress({"Moving " + planned.choice.repo, done, total, done, 0, 0});
  };
  auto report = cache::move_repo(request);
  if (!report) return fail(std::move(report).error().in("cache mv " + planned.choice.repo));
  return report;
}

json::object to_json(PlannedMove const& planned, cache::MoveReport const& report) {
  auto const& [choice, request, plan, needless] = planned;
  json::array left;
  for (auto const& path : plan.left_behind) left.emplace_back(printable(path));
  auto const method = choice.dry_run ? plan.method : report.method;
  return {{"repo", json_text(choice.repo)},
          {"from", json_text(request.from_hub.string())},
          {"to", json_text(request.to_hub.string())},
          {"method", std::string(to_string(method))},
          {"dry_run", choice.dry_run},
          {"total_bytes", plan.total_bytes},
          {"copy_bytes", plan.copy_bytes},
          {"copied_bytes", report.copied_bytes},
          {"freed_bytes", report.freed_bytes},
          {"left_behind", std::move(left)}};
}

Result<Answer> run(Work const& work, MvChoice const& choice) {
  ASSIGN_OR_RETURN(auto const planned, plan(work, choice));
  if (planned.needless || choice.dry_run) return Answer{to_json(planned, {})};
  ASSIGN_OR_RETURN(auto const report, move(work, planned));
  return Answer{to_json(planned, report)};
}

}  // namespace homelab::care
