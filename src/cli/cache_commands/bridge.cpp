// cache bridge: cache_dir=<root> users share the files in <root>/hub.
#include "cache/bridge.h"

#include <fmt/format.h>

#include "../context.h"
#include "../exit_code.h"
#include "../locations.h"
#include "../progress_printer.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"
#include "commands.h"

namespace homelab::cli {
namespace {

Result<cache::Path> root_of(Context const& context, RootChoice const& choice) {
  auto const locations = locations_of(context.settings);
  ASSIGN_OR_RETURN(
      auto const chosen,
      choose_location(locations, choice.path ? "custom" : choice.location, choice.path));
  // An explicit HF_HUB_CACHE is the folder of cache_dir= users already.
  auto const& resolved = chosen.resolved;
  if (!choice.path && resolved.hub.path != resolved.root / "hub" &&
      resolved.hub.path != resolved.root)
    return fail(Code::kFailedPrecondition,
                fmt::format("the hub folder is {}, named by the settings; a bridge joins ROOT and "
                            "ROOT/hub, so say which root: --path ROOT",
                            resolved.hub.path.string()));
  return resolved.root;
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
  return text + fmt::format("{} {} ({} bytes)\n",
                            command.dry_run ? "space that would become free:" : "space made free:",
                            human_bytes(report.saved_bytes()), report.saved_bytes());
}

json::object json_of(cache::BridgeReport const& report, CacheBridgeCommand const& command) {
  json::array repos;
  for (auto const& repo : report.repos) {
    json::array remarks;
    for (auto const& remark : repo.remarks) remarks.emplace_back(printable(remark));
    repos.push_back(json::object{{"folder", printable(repo.folder)},
                                 {"action", to_string(repo.action)},
                                 {"brought_bytes", repo.brought_bytes},
                                 {"saved_bytes", repo.saved_bytes},
                                 {"remarks", std::move(remarks)}});
  }
  json::array problems;
  for (auto const& problem : report.problems) problems.emplace_back(printable(problem));
  return {{"root", report.root.string()},    {"hub_folder", report.hub_folder.string()},
          {"dry_run", command.dry_run},      {"repos", std::move(repos)},
          {"problems", std::move(problems)}, {"saved_bytes", report.saved_bytes()}};
}

}  // namespace

Result<int> execute(Context const& context, CacheBridgeCommand const& command) {
  ASSIGN_OR_RETURN(auto const root, root_of(context, command.root));
  StopSignal const stop;
  ProgressPrinter printer(stderr_is_terminal());
  std::uint64_t hashed = 0;
  cache::BridgeOptions options;
  options.dry_run = command.dry_run;
  options.stop = StopSignal::raised;
  options.on_hashed = [&](std::uint64_t bytes) {
    hashed += bytes;
    ProgressState state;
    state.label = "Comparing copies";
    state.done_bytes = hashed;
    printer.show(std::move(state), hashed);
  };
  auto const report =
      command.undo ? cache::unbridge_root(root, options) : cache::bridge_root(root, options);
  printer.finish();
  if (!report) return fail(Error(report.error()).in("bridge " + root.string()));
  context.out.text(text_of(*report, command));
  context.out.value(json_of(*report, command));
  return report->complete() ? kExitDone : kExitFailed;
}

}  // namespace homelab::cli
