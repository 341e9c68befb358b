// cache export: repositories as one tar.
#include <fmt/format.h>
#include <unistd.h>

#include "../context.h"
#include "../exit_code.h"
#include "../output.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"
#include "care/transfer.h"
#include "care_work.h"
#include "commands.h"

namespace homelab::cli {
namespace {

constexpr std::string_view kPipe = "-";

std::string plan_text(cache::ExportPlan const& plan) {
  std::string text;
  for (auto const& repo : plan.manifest.repos) {
    std::uint64_t bytes = 0;
    for (auto const& blob : repo.blobs) bytes += blob.size_bytes;
    text += fmt::format("{} {}: {}, {}, {}\n", to_string(repo.type), repo.id.text(),
                        counted(repo.revisions.size(), "revision"),
                        counted(repo.refs.size(), "ref"), exact_bytes(bytes));
  }
  for (auto const& one : plan.left_out) text += fmt::format("  left out: {}\n", printable(one));
  return text;
}

Status write(CacheExportCommand const& command, cache::ExportPlan const& plan,
             cache::TransferControl const& control) {
  auto const written = command.output == kPipe
                           ? cache::export_to_pipe(plan, STDOUT_FILENO, control)
                           : cache::export_to_file(plan, command.output, control);
  if (written) return {};
  return fail(Error(written.error()).in("cache export to " + command.output));
}

}  // namespace

Result<int> execute(Context const& context, CacheExportCommand const& command) {
  bool const to_pipe = command.output == kPipe && !command.dry_run;
  if (to_pipe && context.out.json())
    return fail(Code::kInvalidArgument, "--json and -o - both want standard output; give a file");
  if (to_pipe && stdout_is_terminal())
    return fail(Code::kInvalidArgument, "a tar is nothing for a terminal; give a file, or a pipe");
  care::ExportChoice const choice{command.repos,
                                  command.revision,
                                  {command.location, command.path},
                                  command.output,
                                  command.dry_run};
  StopSignal const stop;
  CareWork surroundings(context);
  ASSIGN_OR_RETURN(auto const plan, care::plan(surroundings.work(), choice));
  surroundings.finish();
  if (to_pipe) {
    context.out.remark(plan_text(plan));
  } else {
    context.out.text(plan_text(plan));
  }
  if (!command.dry_run) {
    auto const written = write(command, plan, care::control_of(surroundings.work(), "Exporting"));
    surroundings.finish();
    RETURN_IF_ERROR(written);
  }
  auto const outcome =
      fmt::format("{} {}\n", command.dry_run ? "would write" : command.output + ":",
                  exact_bytes(plan.archive_bytes));
  if (to_pipe) {
    context.out.remark(outcome);
  } else {
    context.out.text(outcome);
    context.out.value(care::to_json(choice, plan));
  }
  return kExitDone;
}

}  // namespace homelab::cli
