// cache mv: a repository into another cache.
#include <fmt/format.h>

#include <algorithm>

#include "../exit_code.h"
#include "../locations.h"
#include "../progress_printer.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"
#include "cache/move.h"
#include "commands.h"
#include "hub_choice.h"
#include "needs.h"
#include "removal_talk.h"

namespace homelab::cli {
namespace {

bool is_same(cache::Path const& one, cache::Path const& other) {
  std::error_code error;
  return std::filesystem::weakly_canonical(one, error) ==
         std::filesystem::weakly_canonical(other, error);
}

Result<cache::Path> target_hub(Context const& context, CacheMvCommand const& command) {
  if (command.to.empty() && command.path.empty())
    return fail(Code::kInvalidArgument, "cache mv needs --to LOCATION or --path FOLDER");
  ASSIGN_OR_RETURN(
      auto const chosen,
      choose_location(locations_of(context.settings), command.to.empty() ? "custom" : command.to,
                      command.path.empty() ? std::nullopt : std::optional(command.path)));
  return chosen.resolved.hub.path;
}

/// The one hub folder beside the target that has the repository; the target itself when no other
/// has it (an earlier try got through).
Result<cache::Path> source_hub(Context const& context, CacheMvCommand const& command,
                               cache::Path const& target, std::string const& folder) {
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(context, command.from, ""));
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
                fmt::format("{} is in {} and in {}; say which one with --from", command.repo,
                            found[0].string(), found[1].string()));
  if (!found.empty()) return found.front();
  if (stands_in(target)) return target;
  return fail(Code::kNotFound, fmt::format("{} is in none of the cache folders", command.repo));
}

/// A registered model must find its files at the new place, too.
Status check_needs(Context const& context, cache::Path const& source, cache::Path const& target,
                   std::string const& folder) {
  ASSIGN_OR_RETURN(auto const needs, needs_of_models(context));
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

json::object answer(CacheMvCommand const& command, cache::MoveRequest const& request,
                    cache::MovePlan const& plan, cache::MoveReport const& report) {
  json::array left;
  for (auto const& path : plan.left_behind) left.emplace_back(printable(path));
  auto const method = command.dry_run ? plan.method : report.method;
  return {{"repo", command.repo},
          {"from", request.from_hub.string()},
          {"to", request.to_hub.string()},
          {"method", std::string(to_string(method))},
          {"dry_run", command.dry_run},
          {"total_bytes", plan.total_bytes},
          {"copy_bytes", plan.copy_bytes},
          {"copied_bytes", report.copied_bytes},
          {"freed_bytes", report.freed_bytes},
          {"left_behind", std::move(left)}};
}

std::string plan_text(CacheMvCommand const& command, cache::MoveRequest const& request,
                      cache::MovePlan const& plan) {
  std::string text = fmt::format(
      "{}: {} ({} bytes) from {} to {}, {}\n", command.repo, human_bytes(plan.total_bytes),
      plan.total_bytes, request.from_hub.string(), request.to_hub.string(),
      plan.copy_bytes == 0 ? std::string("nothing to copy")
                           : fmt::format("{} to copy", human_bytes(plan.copy_bytes)));
  for (auto const& path : plan.left_behind)
    text += fmt::format("  not moved, removed: {}\n", printable(path));
  return text;
}

Result<cache::MoveReport> move(cache::MoveRequest& request, std::string const& repo) {
  StopSignal const stop;
  ProgressPrinter progress(stderr_is_terminal());
  request.cancelled = StopSignal::raised;
  request.on_progress = [&](std::uint64_t done, std::uint64_t total) {
    ProgressState state;
    state.label = "Moving " + repo;
    state.done_bytes = done;
    state.total_bytes = total;
    progress.show(std::move(state), done);
  };
  auto report = cache::move_repo(request);
  progress.finish();
  if (!report) return fail(std::move(report).error().in("cache mv " + repo));
  return report;
}

}  // namespace

Result<int> execute(Context const& context, CacheMvCommand const& command) {
  ASSIGN_OR_RETURN(auto const repo, cache::RemovalTarget::parse(command.repo));
  if (repo.revision || repo.file)
    return fail(Code::kInvalidArgument, "cache mv moves whole repositories: ORG/NAME");
  cache::MoveRequest request;
  request.repo_folder_name = repo.folder_name();
  ASSIGN_OR_RETURN(request.to_hub, target_hub(context, command));
  ASSIGN_OR_RETURN(request.from_hub,
                   source_hub(context, command, request.to_hub, request.repo_folder_name));
  if (is_same(request.from_hub, request.to_hub)) {
    context.out.text(fmt::format("{} is in {}\n", command.repo, request.to_hub.string()));
    context.out.value(answer(command, request, {}, {}));
    return kExitDone;
  }
  if (!command.force)
    RETURN_IF_ERROR(
        check_needs(context, request.from_hub, request.to_hub, request.repo_folder_name));
  ASSIGN_OR_RETURN(auto const plan, cache::plan_move(request));
  context.out.text(plan_text(command, request, plan));
  if (command.dry_run) {
    context.out.value(answer(command, request, plan, {}));
    return kExitDone;
  }
  if (!command.yes) {
    ASSIGN_OR_RETURN(bool const agreed, agrees("Move it?"));
    if (!agreed) return fail(Code::kCancelled, "nothing was moved");
  }
  ASSIGN_OR_RETURN(auto const report, move(request, command.repo));
  context.out.text(fmt::format("moved by {}; {} ({} bytes) are free at the source\n",
                               to_string(report.method), human_bytes(report.freed_bytes),
                               report.freed_bytes));
  context.out.value(answer(command, request, plan, report));
  return kExitDone;
}

}  // namespace homelab::cli
