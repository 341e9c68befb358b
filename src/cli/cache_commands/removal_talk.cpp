#include "removal_talk.h"

#include <fmt/format.h>

#include <iostream>

#include "../exit_code.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"

namespace homelab::cli {
namespace {

void add_list(std::string& text, std::string_view title, std::vector<cache::Kept> const& list) {
  for (auto const& one : list)
    text += fmt::format("  {} {}: {}\n", title, printable(one.path), printable(one.why));
}

std::string outcome_text(Context const& context, care::RemovalOutcome const& outcome) {
  std::string text;
  add_list(text, "left alone", outcome.skipped);
  std::vector<std::string> ids;
  for (auto const& report : outcome.reports)
    if (!report.trash_id.empty()) ids.push_back(report.trash_id);
  if (ids.empty())
    return text + fmt::format("removed, {} are free now\n", exact_bytes(outcome.freed_bytes));
  text += fmt::format(
      "in the trash for {}; emptying it frees {}\n",
      counted(static_cast<std::uint64_t>(context.settings.trash_time().count()), "hour"),
      exact_bytes(outcome.freed_bytes));
  for (auto const& id : ids) text += fmt::format("undo: homelab-llm cache undo {}\n", id);
  return text;
}

}  // namespace

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
                        printable(plan.hub_folder.string()), exact_bytes(plan.frees_bytes()));
    for (auto const& item : plan.items)
      text += fmt::format("  {} {} [{}, {}]\n", to_string(item.kind), printable(item.path),
                          human_bytes(item.frees_bytes), printable(item.why));
    add_list(text, "keeps", plan.kept);
    add_list(text, "refuses", plan.refused);
  }
  return text;
}

Result<int> carry_out(Context const& context, care::Work const& work,
                      std::vector<cache::RemovalPlan> const& plans, RemovalFlags const& flags,
                      std::string const& reason) {
  context.out.text(plan_text(plans));
  auto const items = care::items_of(plans);
  if (items == 0) context.out.text("nothing to remove\n");
  if (items == 0 || flags.dry_run) {
    if (items != 0)
      context.out.text(fmt::format("would free {}; nothing was changed\n",
                                   exact_bytes(care::frees_bytes(plans))));
    context.out.value(care::to_json(plans, flags.dry_run, {}));
    return kExitDone;
  }
  if (!flags.yes) {
    ASSIGN_OR_RETURN(bool const agreed,
                     agrees(fmt::format("Remove {}, {}?", counted(items, "thing"),
                                        exact_bytes(care::frees_bytes(plans)))));
    if (!agreed) return fail(Code::kCancelled, "nothing was removed");
  }
  StopSignal const stop;
  auto const outcome = care::remove(work, plans, {flags.now, reason});
  context.out.text(outcome_text(context, outcome));
  context.out.value(care::to_json(plans, false, outcome));
  if (outcome.cancelled) context.out.remark("stopped; run again to finish");
  return outcome.complete() ? kExitDone : kExitFailed;
}

}  // namespace homelab::cli
