#include "care/removal.h"

#include "cache/trash.h"
#include "care/printable.h"

namespace homelab::care {
namespace {

json::array kept_json(std::vector<cache::Kept> const& list) {
  json::array out;
  for (auto const& one : list)
    out.push_back(json::object{{"path", printable(one.path)}, {"why", json_text(one.why)}});
  return out;
}

json::array plans_json(RemovalPlans const& plans) {
  json::array out;
  for (auto const& plan : plans) {
    json::array items;
    for (auto const& item : plan.items)
      items.push_back(json::object{{"kind", std::string(to_string(item.kind))},
                                   {"path", printable(item.path)},
                                   {"why", json_text(item.why)},
                                   {"size_bytes", item.size_bytes},
                                   {"frees_bytes", item.frees_bytes}});
    bool const is_hub = plan.repo_folder_name.empty();
    out.push_back(
        json::object{{"repo", is_hub ? json::value(nullptr) : json::value(json_text(plan.id))},
                     {"type", is_hub ? "hub" : to_string(plan.type)},
                     {"hub_folder", json_text(plan.hub_folder.string())},
                     {"items", std::move(items)},
                     {"kept", kept_json(plan.kept)},
                     {"refused", kept_json(plan.refused)},
                     {"frees_bytes", plan.frees_bytes()}});
  }
  return out;
}

}  // namespace

std::uint64_t frees_bytes(RemovalPlans const& plans) {
  std::uint64_t sum = 0;
  for (auto const& plan : plans) sum += plan.frees_bytes();
  return sum;
}

std::size_t items_of(RemovalPlans const& plans) {
  std::size_t sum = 0;
  for (auto const& plan : plans) sum += plan.items.size();
  return sum;
}

void expire_trash(Work const& work, std::vector<cache::Path> const& hub_folders) {
  for (auto const& hub : hub_folders) {
    auto const emptied = cache::empty_trash_older_than(hub, work.trash_time);
    if (!emptied) work.remark("the trash could not be emptied: " + emptied.error().message);
  }
}

RemovalOutcome remove(Work const& work, RemovalPlans const& plans, RemovalHow const& how) {
  for (auto const& plan : plans) expire_trash(work, {plan.hub_folder});
  cache::RemovalOptions const options{!how.now && work.trash_time.count() > 0, how.reason,
                                      work.stopped};
  RemovalOutcome outcome;
  std::size_t finished = 0;
  for (auto const& plan : plans) {
    Progress progress;
    progress.what = "Removing " + printable(plan.id);
    progress.total_files = plans.size();
    progress.done_files = finished++;
    work.on_progress(progress);
    auto report = cache::execute_removal(plan, options);
    if (!report) {
      bool const is_hub = plan.repo_folder_name.empty();
      outcome.skipped.push_back(
          {is_hub ? plan.hub_folder.string() : plan.repo_folder_name, report.error().message});
      continue;
    }
    outcome.freed_bytes += report->freed_bytes;
    outcome.removed += report->removed.size();
    outcome.cancelled = outcome.cancelled || report->cancelled;
    outcome.skipped.insert(outcome.skipped.end(), report->skipped.begin(), report->skipped.end());
    outcome.reports.push_back(*std::move(report));
    if (outcome.cancelled) break;
  }
  return outcome;
}

json::object to_json(RemovalPlans const& plans, bool dry_run, RemovalOutcome const& outcome) {
  json::array ids;
  for (auto const& report : outcome.reports)
    if (!report.trash_id.empty()) ids.emplace_back(report.trash_id);
  return {{"dry_run", dry_run},
          {"plans", plans_json(plans)},
          {"frees_bytes", frees_bytes(plans)},
          {"removed", outcome.removed},
          {"skipped", kept_json(outcome.skipped)},
          {"freed_bytes", outcome.freed_bytes},
          {"trash", std::move(ids)}};
}

}  // namespace homelab::care
