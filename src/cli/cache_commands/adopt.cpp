// cache adopt: model files that stand elsewhere become part of the cache without a second copy.
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

std::string text_of(care::Adopted const& adopted, bool dry_run) {
  Table table({{"REPOSITORY"}, {"FILE"}, {"SIZE", Align::kRight}, {"HOW"}});
  std::uint64_t bytes = 0;
  std::uint64_t copied = 0;
  std::string remarks;
  for (auto const& report : adopted.reports) {
    for (auto const& file : report.files)
      table.add({report.repo, file.path.text(), human_bytes(file.size_bytes),
                 std::string(to_string(file.way))});
    if (report.files.empty())
      table.add({report.repo, "", human_bytes(report.adopted_bytes), "whole folder"});
    bytes += report.adopted_bytes;
    copied += report.copied_bytes;
    for (auto const& remark : report.remarks) remarks += printable(remark) + "\n";
  }
  for (auto const& remark : adopted.remarks) remarks += printable(remark) + "\n";
  for (auto const& problem : adopted.problems)
    remarks += "not adopted: " + printable(problem) + "\n";
  return (table.empty() ? "" : table.render()) + remarks +
         fmt::format("{} {}, of which copied: {}\n",
                     dry_run ? "would be adopted:" : "adopted:", exact_bytes(bytes),
                     counted(copied, "byte"));
}

}  // namespace

Result<int> execute(Context const& context, CacheAdoptCommand const& command) {
  care::AdoptChoice choice;
  choice.sources = command.sources;
  choice.as = command.as;
  choice.place = {command.root.path ? "" : command.root.location, command.root.path.value_or("")};
  choice.move = command.move;
  choice.copy = command.copy;
  choice.dry_run = command.dry_run;
  StopSignal const stop;
  CareWork surroundings(context);
  ASSIGN_OR_RETURN(auto const adopted, care::adopt(surroundings.work(), choice));
  surroundings.finish();
  context.out.text(text_of(adopted, command.dry_run));
  context.out.value(care::to_json(adopted, command.dry_run));
  return adopted.problems.empty() ? kExitDone : kExitFailed;
}

}  // namespace homelab::cli
