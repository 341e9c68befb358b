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

std::string plan_text(care::PlannedMove const& planned) {
  auto const& [choice, request, plan, needless] = planned;
  std::string text =
      fmt::format("{}: {} from {} to {}, {}\n", choice.repo, exact_bytes(plan.total_bytes),
                  request.from_hub.string(), request.to_hub.string(),
                  plan.copy_bytes == 0 ? std::string("nothing to copy")
                                       : fmt::format("{} to copy", human_bytes(plan.copy_bytes)));
  for (auto const& path : plan.left_behind)
    text += fmt::format("  not moved, removed: {}\n", printable(path));
  return text;
}

}  // namespace

Result<int> execute(Context const& context, CacheMvCommand const& command) {
  CareWork surroundings(context);
  ASSIGN_OR_RETURN(auto const planned,
                   care::plan(surroundings.work(), {command.repo, command.to, command.path,
                                                    command.from, command.force, command.dry_run}));
  if (planned.needless)
    context.out.text(fmt::format("{} is in {}\n", command.repo, planned.request.to_hub.string()));
  else
    context.out.text(plan_text(planned));
  if (planned.needless || command.dry_run) {
    context.out.value(care::to_json(planned, {}));
    return kExitDone;
  }
  if (!command.yes) {
    ASSIGN_OR_RETURN(bool const agreed, agrees("Move it?"));
    if (!agreed) return fail(Code::kCancelled, "nothing was moved");
  }
  StopSignal const stop;
  auto const report = care::move(surroundings.work(), planned);
  surroundings.finish();
  if (!report) return fail(report.error());
  context.out.text(fmt::format("moved by {}; {} are free at the source\n",
                               to_string(report->method), exact_bytes(report->freed_bytes)));
  context.out.value(care::to_json(planned, *report));
  return kExitDone;
}

}  // namespace homelab::cli
