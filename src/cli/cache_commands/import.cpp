// cache import: what cache export packed becomes part of a cache.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "../context.h"
#include "../exit_code.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/os/file.h"
#include "base/strings.h"
#include "care/transfer.h"
#include "care_work.h"
#include "commands.h"

namespace homelab::cli {
namespace {

constexpr std::string_view kPipe = "-";

std::string text_of(CacheImportCommand const& command, cache::ImportReport const& report) {
  std::string text;
  for (auto const& repo : report.repos) {
    text +=
        fmt::format("{} {}: {}, {}; {} {}, {} were there\n", to_string(repo.type), repo.id.text(),
                    counted(repo.commits.size(), "revision"), counted(repo.files, "file"),
                    command.dry_run ? "would write" : "wrote", exact_bytes(repo.written_bytes),
                    human_bytes(repo.present_bytes + repo.resumed_bytes));
    for (auto const& ref : repo.refs)
      if (ref.before)
        text += fmt::format("  {} moves from {} to {}\n", printable(ref.name.text()),
                            ref.before->text(), ref.commit.text());
  }
  if (command.dry_run) text += "nothing was changed\n";
  return text;
}

}  // namespace

Result<int> execute(Context const& context, CacheImportCommand const& command) {
  bool const from_pipe = command.archive == kPipe;
  if (from_pipe && stdin_is_terminal())
    return fail(Code::kInvalidArgument, "cache import - reads a tar from a pipe, not a terminal");
  care::ImportChoice const choice{from_pipe ? "standard input" : command.archive,
                                  {command.path.empty() ? command.to : "custom", command.path},
                                  command.force,
                                  command.dry_run};
  os::UniqueFd opened;
  if (!from_pipe) {
    ASSIGN_OR_RETURN(opened, os::open_file(command.archive, O_RDONLY));
  }
  StopSignal const stop;
  CareWork surroundings(context);
  auto const imported =
      care::import(surroundings.work(), choice, from_pipe ? STDIN_FILENO : opened.get());
  surroundings.finish();
  RETURN_IF_ERROR(imported);
  context.out.text(text_of(command, imported->report));
  auto value = care::to_json(choice, *imported);
  value["file"] = command.archive;
  context.out.value(value);
  return kExitDone;
}

}  // namespace homelab::cli
