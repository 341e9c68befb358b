// cache undo, cache trash: what was removed, back again or gone for good.
#include "care/trash.h"

#include <fmt/format.h>

#include "../exit_code.h"
#include "../table.h"
#include "base/strings.h"
#include "care_work.h"
#include "commands.h"
#include "removal_talk.h"

namespace homelab::cli {
namespace {

int list(Context const& context, std::vector<care::TrashPlace> const& records) {
  Table table({{"ID"}, {"SIZE", Align::kRight}, {"ITEMS", Align::kRight}, {"REMOVED BY"}, {"HUB"}});
  std::uint64_t bytes = 0;
  for (auto const& found : records) {
    table.add(
        {found.record.id, human_bytes(found.record.disk_bytes), std::to_string(found.record.items),
         found.record.restorable ? found.record.reason : "(cannot come back)", found.hub.string()});
    bytes += found.record.disk_bytes;
  }
  context.out.text(records.empty()
                       ? "the trash is empty\n"
                       : fmt::format("{}{} in all\n", table.render(), exact_bytes(bytes)));
  context.out.value(care::to_json(records));
  return kExitDone;
}

Result<int> empty(Context const& context, care::Work const& work,
                  std::vector<care::TrashPlace> const& records, bool yes) {
  std::uint64_t bytes = 0;
  for (auto const& found : records) bytes += found.record.disk_bytes;
  if (!yes && !records.empty()) {
    ASSIGN_OR_RETURN(bool const agreed,
                     agrees(fmt::format("Delete {} for good?", exact_bytes(bytes))));
    if (!agreed) return fail(Code::kCancelled, "nothing was deleted");
  }
  auto const emptied = care::empty(work, records);
  for (auto const& one : emptied.skipped) context.out.remark(printable(one.why));
  context.out.text(fmt::format("deleted {} of {}, {} are free now\n", emptied.ids.size(),
                               counted(records.size(), "record"),
                               exact_bytes(emptied.freed_bytes)));
  context.out.value(care::to_json(emptied));
  return emptied.complete() ? kExitDone : kExitFailed;
}

}  // namespace

Result<int> execute(Context const& context, CacheUndoCommand const& command) {
  CareWork const surroundings(context);
  ASSIGN_OR_RETURN(auto const undone, care::undo(surroundings.work(), {command.id}));
  std::string text =
      fmt::format("put back {} that '{}' had removed\n",
                  counted(undone.restored.paths.size(), "thing"), printable(undone.reason));
  for (auto const& path : undone.restored.paths) text += fmt::format("  {}\n", printable(path));
  context.out.text(text);
  context.out.value(care::to_json(undone));
  return kExitDone;
}

Result<int> execute(Context const& context, CacheTrashCommand const& command) {
  CareWork const surroundings(context);
  ASSIGN_OR_RETURN(auto const records, care::trash_records(surroundings.work(), command.id));
  if (command.action == "ls") return list(context, records);
  return empty(context, surroundings.work(), records, command.yes);
}

}  // namespace homelab::cli
