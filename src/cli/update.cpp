// update: registered models to their newest revision, or back to the one before.
#include "care/update.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "cache_commands/care_work.h"
#include "commands.h"
#include "exit_code.h"
#include "stop_signal.h"
#include "table.h"

namespace homelab::cli {
namespace {

std::string short_commit(std::optional<cache::CommitHash> const& commit) {
  return commit ? commit->text().substr(0, 8) : "-";
}

std::string state_text(care::UpdatedRef const& row, bool rollback) {
  if (row.state == "current") return "up to date";
  if (row.state == "available") return rollback ? "would go back" : "update available";
  if (row.state == "rolled_back") return "rolled back";
  if (row.state == "not_downloaded") return "not downloaded yet";
  return row.state;
}

std::string table_of(care::Updated const& updated, bool rollback) {
  auto const& rows = updated.rows;
  Table table({{"MODEL"},
               {"REPOSITORY"},
               {"REVISION"},
               {"NOW"},
               {rollback ? "BEFORE" : "NEWEST"},
               {"STATE"},
               {"FILES", Align::kRight},
               {"TO DOWNLOAD", Align::kRight}});
  for (auto const& row : rows) {
    // What the one line about the Hub says need not be said for each.
    if (updated.no_hub && row.error) continue;
    auto const& model = row.group.model();
    bool const moved = row.state == "updated" || row.state == "rolled_back";
    table.add({row.group.names(), model.repo.text(), model.revision.text(),
               short_commit(moved ? row.commit : row.before),
               short_commit(moved && rollback ? row.before : row.commit), state_text(row, rollback),
               moved ? "" : std::to_string(row.files), moved ? "" : human_bytes(row.bytes)});
  }
  return table.empty() ? "" : table.render();
}

std::string pruned_text(care::UpdatedRef const& row, bool dry_run) {
  std::string text =
      fmt::format("{}: {} {}, {} freed\n", printable(row.group.names()),
                  counted(row.pruned->revisions, "older revision"), dry_run ? "would go" : "gone",
                  human_bytes(row.pruned->freed_bytes));
  for (auto const& kept : row.pruned->kept)
    text += fmt::format("  {} stays: {}\n", printable(kept.path), printable(kept.why));
  return text;
}

std::string text_of(care::Updated const& updated, UpdateCommand const& command) {
  auto const& rows = updated.rows;
  std::string text = table_of(updated, command.rollback);
  for (auto const& other : updated.others)
    text += fmt::format("{}: {}\n", printable(other.name), printable(other.why));
  for (auto const& row : rows) {
    if (row.state == "updated")
      text += fmt::format("{}: {} downloaded; the next load takes the new revision\n",
                          printable(row.group.names()), human_bytes(row.downloaded_bytes));
    if (row.pruned) text += pruned_text(row, command.dry_run);
  }
  return text.empty() && rows.empty() ? "no model is registered\n" : text;
}

}  // namespace

Outcome execute(Context const& context, UpdateCommand const& command) {
  care::UpdateChoice choice;
  choice.names = command.names;
  choice.check = command.check;
  choice.rollback = command.rollback;
  choice.dry_run = command.dry_run;
  choice.to = command.to;
  choice.keep = command.keep;
  StopSignal const stop;
  CareWork surroundings(context);
  surroundings.connect_hub();
  ASSIGN_OR_RETURN(auto const updated, care::update(surroundings.work(), choice));
  surroundings.finish();
  context.out.text(text_of(updated, command));
  context.out.value(care::to_json(updated));
  return updated.complete() ? kExitDone : kExitFailed;
}

}  // namespace homelab::cli
