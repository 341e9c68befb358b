#include "care/move.h"

#include <fmt/format.h>

#include <algorithm>

#include "care/printable.h"
#include "relocation.h"

namespace homelab::care {
namespace {

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
    if (!is_same_place(hub, target) && stands_in(hub)) found.push_back(hub);
  if (found.size() > 1)
    return fail(Code::kInvalidArgument,
                fmt::format("{} is in {} and in {}; say which one with --from", choice.repo,
                            found[0].string(), found[1].string()));
  if (!found.empty()) return found.front();
  if (stands_in(target)) return target;
  return fail(Code::kNotFound, fmt::format("{} is in none of the cache folders", choice.repo));
}

/// What a registration at the target says.
void name_target(Work const& work, PlannedMove& planned) {
  for (auto const& one : work.locations.all()) {
    if (!is_same_place(work.locations.resolve(one).hub.path, planned.request.to_hub)) continue;
    planned.location = to_string(one.kind);
    planned.root = one.root;
    return;
  }
  planned.location = to_string(cache::LocationKind::kCustom);
  planned.root = absolute_path(planned.choice.path);
}

Result<std::vector<RegisteredModel>> find_rows(Work const& work, PlannedMove const& planned) {
  if (!work.models) return fail(Code::kInternal, "nobody knows which models are registered");
  ASSIGN_OR_RETURN(auto const models, work.models());
  auto const& request = planned.request;
  ASSIGN_OR_RETURN(auto rows, rows_to_relocate(work.locations, models,
                                               {request.from_hub, request.to_hub,
                                                request.repo_folder_name, planned.choice.force}));
  // Who says from where means the rows of that location.
  if (planned.needless && !planned.choice.from.empty())
    std::erase_if(rows, [&](auto const& row) { return row.location != planned.choice.from; });
  return rows;
}

/// Asked anew: in the meantime a model may have been registered or loaded.
Status tell_registry(Work const& work, PlannedMove const& planned) {
  auto const rows = find_rows(work, planned);
  if (!rows) return fail(Error(rows.error()).in("everything stands at the target, too"));
  if (rows->empty()) return {};
  if (!work.relocate) return fail(Code::kInternal, "nobody can change where models are");
  Relocation relocation{{}, planned.location, planned.root};
  for (auto const& row : *rows) relocation.names.push_back(row.name);
  auto const done = work.relocate(relocation, planned.choice.force);
  if (done) return {};
  return fail(Error(done.error())
                  .in("it stands at the target, but its registration was not "
                      "changed; run it again"));
}

json::object place_json(std::string const& location, std::optional<std::string> const& root) {
  return {{"location", json_text(location)},
          {"root", root ? json::value(json_text(*root)) : json::value()}};
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
  out.needless = is_same_place(request.from_hub, request.to_hub);
  name_target(work, out);
  ASSIGN_OR_RETURN(out.rows, find_rows(work, out));
  if (out.needless) return out;
  request.keep_source_meanwhile = !out.rows.empty();
  ASSIGN_OR_RETURN(out.plan, cache::plan_move(request));
  return out;
}

Result<cache::MoveReport> move(Work const& work, PlannedMove const& planned) {
  if (planned.needless) {
    RETURN_IF_ERROR(tell_registry(work, planned));
    return cache::MoveReport{};
  }
  auto request = planned.request;
  request.at_target = [&] { return tell_registry(work, planned); };
  request.cancelled = work.stopped;
  request.on_progress = [&](std::uint64_t done, std::uint64_t total) {
    work.on_progress({"Moving " + planned.choice.repo, done, total, done, 0, 0});
  };
  auto report = cache::move_repo(request);
  if (!report) return fail(std::move(report).error().in("cache mv " + planned.choice.repo));
  return report;
}

json::object to_json(PlannedMove const& planned, cache::MoveReport const& report) {
  auto const& [choice, request, plan, needless, rows, location, root] = planned;
  json::array left;
  for (auto const& one : plan.left_behind) left.emplace_back(printable(one));
  json::array registrations;
  for (auto const& row : rows)
    registrations.push_back(json::object{{"model", json_text(row.name)},
                                         {"from", place_json(row.location, row.cache_path)},
                                         {"to", place_json(location, root)}});
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
          {"left_behind", std::move(left)},
          {"registrations", std::move(registrations)}};
}

Result<Answer> run(Work const& work, MvChoice const& choice) {
  ASSIGN_OR_RETURN(auto const planned, plan(work, choice));
  if (planned.changes_nothing() || choice.dry_run) return Answer{to_json(planned, {})};
  ASSIGN_OR_RETURN(auto const report, move(work, planned));
  return Answer{to_json(planned, report)};
}

}  // namespace homelab::care
