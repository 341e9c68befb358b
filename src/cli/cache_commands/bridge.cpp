// cache bridge: cache_dir=<root> users share the files in <root>/hub.
#include <fmt/format.h>

#include "../context.h"
#include "../exit_code.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"
#include "care/sharing.h"
#include "care_work.h"
#include "commands.h"

namespace homelab::cli {
namespace {

/// --location says primary without being given; --path alone means a custom root.
care::BridgeChoice choice_of(CacheBridgeCommand const& command) {
  auto const& root = command.root;
  return {{root.path ? "" : root.location, root.path.value_or("")}, command.dry_run, command.undo};
}

std::string_view verb(cache::BridgedRepo::Action action, bool dry_run) {
  using Action = cache::BridgedRepo::Action;
  if (!dry_run || action == Action::kAlready || action == Action::kLeft) return to_string(action);
  switch (action) {
    case Action::kLinked:
      return "would be linked";
    case Action::kMoved:
      return "would be moved";
    case Action::kMerged:
      return "would be merged";
    default:
      return "would be unlinked";
  }
}

std::string text_of(cache::BridgeReport const& report, CacheBridgeCommand const& command) {
  Table table({{"FOLDER"}, {"DONE"}, {"SAVED", Align::kRight}});
  std::string remarks;
  for (auto const& repo : report.repos) {
    table.add({repo.folder, std::string(verb(repo.action, command.dry_run)),
               repo.saved_bytes > 0 ? human_bytes(repo.saved_bytes) : ""});
    for (auto const& remark : repo.remarks)
      remarks += fmt::format("{}: {}\n", printable(repo.folder), printable(remark));
  }
  for (auto const& problem : report.problems) remarks += printable(problem) + "\n";
  std::string text = table.empty() ? "" : table.render();
  text += remarks;
  if (command.undo)
    return text + fmt::format("scripts with cache_dir={} are on their own; the files stay in {}\n",
                              report.root.string(), report.hub_folder.string());
  return text + fmt::format("{} {}\n",
                            command.dry_run ? "space that would become free:" : "space made free:",
                            exact_bytes(report.saved_bytes()));
}

}  // namespace

Result<int> execute(Context const& context, CacheBridgeCommand const& command) {
  StopSignal const stop;
  CareWork surroundings(context);
  ASSIGN_OR_RETURN(auto const report, care::bridge(surroundings.work(), choice_of(command)));
  surroundings.finish();
  context.out.text(text_of(report, command));
  context.out.value(care::to_json(report, command.dry_run));
  return report.complete() ? kExitDone : kExitFailed;
}

}  // namespace homelab::cli
