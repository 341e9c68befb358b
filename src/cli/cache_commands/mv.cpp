// cache mv: a repository into another cache.
#include <fmt/format.h>

#include "../exit_code.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"
#include "care/move.h"
#include "care_work.h"
#include "commands.h"
#include "removal_talk.h"

namespace homelab::cli {
namespace {

std::string place_text(std::string const& location, std::optional<std::string> const& root) {
  return printable(location == "custom" && root ? *root : location);
}

std::string rows_text(care::PlannedMove const& planned) {
  std::string text;
  for (auto const& row : planned.rows)
    text += fmt::format("  registered as '{}' in {}, then in {}\n", printable(row.name),
                        place_text(row.location, row.cache_path),
                        place_text(planned.location, planned.root));
  return text;
}

std::string plan_text(care::PlannedMove const& planned) {
  auto const& choice = planned.choice;
  auto const& request = planned.request;
  auto const& plan = planned.plan;
  if (planned.needless)
    return fmt::format("{} is in {}\n", choice.repo, request.to_hub.string()) + rows_text(planned);
  std::string text =
      fmt::format("{}: {} from {} to {}, {}\n", choice.repo, exact_bytes(plan.total_bytes),
                  request.from_hub.string(), request.to_hub.string(),
                  plan.copy_bytes == 0 ? std::string("nothing to copy")
                                       : fmt::format("{} to copy", human_bytes(plan.copy_bytes)));
  for (auto const& path : plan.left_behind)
    text += fmt::format("  not moved, removed: {}\n", printable(path));
  return text + rows_text(planned);
}

}  // namespace

Result<int> execute(Context const& context, CacheMvCommand const& command) {
  CareWork surroundings(context);
  ASSIGN_OR_RETURN(auto const planned,
                   care::plan(surroundings.work(), {command.repo, command.to, command.path,
                                                    command.from, command.force, command.dry_run}));
  context.out.text(plan_text(planned));
  if (planned.changes_nothing() || command.dry_run) {
    context.out.value(care::to_json(planned, {}));
    return kExitDone;
  }
  if (!command.yes) {
    ASSIGN_OR_RETURN(bool const agreed,
                     agrees(planned.needless ? "Change the registration?" : "Move it?"));
    if (!agreed) return fail(Code::kCancelled, "nothing was moved");
  }
  StopSignal const stop;
  auto const report = care::move(surroundings.work(), planned);
  surroundings.finish();
  if (!report) return fail(report.error());
  if (!planned.needless)
    context.out.text(fmt::format("moved by {}; {} are free at the source\n",
                                 to_string(report->method), exact_bytes(report->freed_bytes)));
  context.out.value(care::to_json(planned, *report));
  return kExitDone;
}

}  // namespace homelab::cli
