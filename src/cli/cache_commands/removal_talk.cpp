#include "removal_talk.h"

#include <fmt/format.h>

#include <iostream>

#include "../exit_code.h"
#include "../progress_printer.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"
#include "cache/trash.h"

namespace homelab::cli {
namespace {

struct Outcome {
  std::vector<cache::RemovalReport> reports;
  std::uint64_t freed_bytes = 0;
  std::size_t removed = 0;
  std::vector<cache::Kept> skipped;
  bool cancelled = false;
};

json::array kept_json(std::vector<cache::Kept> const& list) {
  json::array out;
  for (auto const& one : list)
    out.push_back(json::object{{"path", printable(one.path)}, {"why", one.why}});
  return out;
}

std::string exact(std::uint64_t bytes) {
  return fmt::format("{} ({} bytes)", human_bytes(bytes), bytes);
}

std::uint64_t sum_of(std::vector<cache::RemovalPlan> const& plans) {
  std::uint64_t sum = 0;
  for (auto const& plan : plans) sum += plan.frees_bytes();
  return sum;
}

std::size_t items_of(std::vector<cache::RemovalPlan> const& plans) {
  std::size_t sum = 0;
  for (auto const& plan : plans) sum += plan.items.size();
  return sum;
}

void add_list(std::string& text, std::string_view title, std::vector<cache::Kept> const& list) {
  for (auto const& one : list)
    text += fmt::format("  {} {}: {}\n", title, printable(one.path), printable(one.why));
}

Result<Outcome> execute_all(std::vector<cache::RemovalPlan> const& plans, bool use_trash,
                            std::string const& reason) {
  StopSignal const stop;
  ProgressPrinter progress(stderr_is_terminal());
  Outcome outcome;
  std::size_t finished = 0;
  for (auto const& plan : plans) {
    ProgressState state;
    state.label = "Removing " + printable(plan.id);
    state.total_files = plans.size();
    state.finished_files = finished++;
    progress.show(std::move(state), 0);
    auto report = cache::execute_removal(plan, {use_trash, reason, StopSignal::raised});
    if (!report) {
      outcome.skipped.push_back({plan.repo_folder_name, report.error().message});
      continue;
    }
    outcome.freed_bytes += report->freed_bytes;
    outcome.removed += report->removed.size();
    outcome.cancelled = outcome.cancelled || report->cancelled;
    outcome.skipped.insert(outcome.skipped.end(), report->skipped.begin(), report->skipped.end());
    outcome.reports.push_back(*std::move(report));
    if (outcome.cancelled) break;
  }
  progress.finish();
  return outcome;
}

std::string outcome_text(Context const& context, Outcome const& outcome) {
  std::string text;
  add_list(text, "left alone", outcome.skipped);
  std::vector<std::string> ids;
  for (auto const& report : outcome.reports)
    if (!report.trash_id.empty()) ids.push_back(report.trash_id);
  if (ids.empty())
    return text + fmt::format("removed, {} are free now\n", exact(outcome.freed_bytes));
  text += fmt::format("in the trash for {} hours; emptying it frees {}\n",
                      context.settings.trash_time().count(), exact(outcome.freed_bytes));
  for (auto const& id : ids) text += fmt::format("undo: homelab-llm cache undo {}\n", id);
  return text;
}

json::object answer(std::vector<cache::RemovalPlan> const& plans, bool dry_run,
                    Outcome const& outcome) {
  json::array ids;
  for (auto const& report : outcome.reports)
    if (!report.trash_id.empty()) ids.emplace_back(report.trash_id);
  return {{"dry_run", dry_run},
          {"plans", to_json(plans)},
          {"frees_bytes", sum_of(plans)},
          {"removed", outcome.removed},
          {"skipped", kept_json(outcome.skipped)},
          {"freed_bytes", outcome.freed_bytes},
          {"trash", std::move(ids)}};
}

}  // namespace

void expire_trash(Context const& context, std::vector<cache::Path> const& hub_folders) {
  for (auto const& hub : hub_folders) {
    auto const emptied = cache::empty_trash_older_than(hub, context.settings.trash_time());
    if (!emptied) context.out.remark("the trash could not be emptied: " + emptied.error().message);
  }
}

Result<bool> agrees(std::string const& question) {
  if (!stdin_is_terminal())
    return fail(Code::kInvalidArgument, "removing needs --yes when there is nobody to ask");
  std::cerr << question << " [y/N] " << std::flush;
  std::string words;
  std::getline(std::cin, words);
  return words == "y" || words == "Y" || words == "yes";
}

std::string plan_text(std::vector<cache::RemovalPlan> const& plans) {
  std::string text;
  for (auto const& plan : plans) {
    text += fmt::format("{} {} in {}: frees {}\n", to_string(plan.type), printable(plan.id),
                        printable(plan.hub_folder.string()), exact(plan.frees_bytes()));
    for (auto const& item : plan.items)
      text += fmt::format("  {} {} [{}, {}]\n", to_string(item.kind), printable(item.path),
                          human_bytes(item.frees_bytes), printable(item.why));
    add_list(text, "keeps", plan.kept);
    add_list(text, "refuses", plan.refused);
  }
  return text;
}

json::array to_json(std::vector<cache::RemovalPlan> const& plans) {
  json::array out;
  for (auto const& plan : plans) {
    json::array items;
    for (auto const& item : plan.items)
      items.push_back(json::object{{"kind", std::string(to_string(item.kind))},
                                   {"path", printable(item.path)},
                                   {"why", item.why},
                                   {"size_bytes", item.size_bytes},
                                   {"frees_bytes", item.frees_bytes}});
    out.push_back(json::object{{"repo", plan.id},
                               {"type", std::string(to_string(plan.type))},
                               {"hub_folder", plan.hub_folder.string()},
                               {"items", std::move(items)},
                               {"kept", kept_json(plan.kept)},
                               {"refused", kept_json(plan.refused)},
                               {"frees_bytes", plan.frees_bytes()}});
  }
  return out;
}

Result<int> carry_out(Context const& context, std::vector<cache::RemovalPlan> const& plans,
                      RemovalFlags const& flags, std::string const& reason) {
  context.out.text(plan_text(plans));
  bool const nothing = items_of(plans) == 0;
  if (nothing) context.out.text("nothing to remove\n");
  if (nothing || flags.dry_run) {
    if (!nothing)
      context.out.text(fmt::format("would free {}; nothing was changed\n", exact(sum_of(plans))));
    context.out.value(answer(plans, flags.dry_run, {}));
    return kExitDone;
  }
  if (!flags.yes) {
    ASSIGN_OR_RETURN(bool const agreed, agrees(fmt::format("Remove {} things, {}?", items_of(plans),
                                                           exact(sum_of(plans)))));
    if (!agreed) return fail(Code::kCancelled, "nothing was removed");
  }
  bool const use_trash = !flags.now && context.settings.trash_time().count() > 0;
  for (auto const& plan : plans) expire_trash(context, {plan.hub_folder});
  ASSIGN_OR_RETURN(Outcome const outcome, execute_all(plans, use_trash, reason));
  context.out.text(outcome_text(context, outcome));
  context.out.value(answer(plans, false, outcome));
  if (outcome.cancelled) context.out.remark("stopped; run again to finish");
  return outcome.skipped.empty() && !outcome.cancelled ? kExitDone : kExitFailed;
}

}  // namespace homelab::cli
