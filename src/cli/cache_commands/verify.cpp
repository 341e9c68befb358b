// cache verify: every file against its hash; bad ones out of service and, if asked, fetched again.
#include "care/verify.h"

#include <fmt/format.h>

#include <algorithm>

#include "../context.h"
#include "../exit_code.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"
#include "care_work.h"
#include "commands.h"

namespace homelab::cli {
namespace {

using Kind = cache::VerifyFinding::Kind;

std::string words_of(Kind kind) {
  std::string words(cache::to_string(kind));
  std::ranges::replace(words, '_', ' ');
  return words;
}

std::string state_of(care::Checked const& one) {
  if (one.repaired) return "repaired";
  if (one.is_bad()) return "BAD";
  return one.finding.out_of_service ? "put away" : "-";
}

std::string text_of(care::Verified const& verified, bool tried) {
  auto const& repos = verified.repos;
  auto const& totals = verified.totals;
  Table table({{"STATE"}, {"KIND"}, {"FILE"}, {"WHY"}});
  std::size_t absent = 0;
  std::string kept;
  for (auto const& checked : repos)
    for (auto const& one : checked.findings) {
      auto const& finding = one.finding;
      if (finding.kind == Kind::kNotDownloaded) {
        ++absent;
        continue;
      }
      auto const file = finding.entries.empty()
                            ? checked.repo.id + " " + finding.path.filename().string()
                            : checked.repo.id + " " + finding.entries.front().path;
      table.add({state_of(one), words_of(finding.kind), file, finding.what});
      std::error_code error;
      if (finding.quarantined && std::filesystem::exists(*finding.quarantined, error))
        kept += fmt::format("kept: {} ({})\n", printable(finding.quarantined->string()),
                            human_bytes(finding.size_bytes));
    }
  std::string text = table.empty() ? "" : table.render() + "\n" + kept;
  text += fmt::format("{} read ({}), {} unchanged since they were good ({}), {}\n",
                      counted(totals.checked_files, "file"), human_bytes(totals.checked_bytes),
                      totals.remembered_files, human_bytes(totals.remembered_bytes),
                      counted(repos.size(), "repository", "repositories"));
  if (absent > 0)
    text += fmt::format("never downloaded of these revisions: {}\n", counted(absent, "file"));
  if (totals.repaired > 0)
    text += fmt::format("{} repaired, {} downloaded\n", totals.repaired,
                        human_bytes(totals.downloaded_bytes));
  if (verified.cancelled)
    text += "stopped; what was checked is remembered, run again to continue\n";
  text += totals.bad == 0 ? "nothing bad found\n"
                          : fmt::format("{} bad{}\n", totals.bad,
                                        tried ? "" : "; --repair downloads them again");
  return text;
}

}  // namespace

Result<int> execute(Context const& context, CacheVerifyCommand const& command) {
  StopSignal const stop;
  CareWork surroundings(context);
  if (command.repair) surroundings.connect_hub();
  care::VerifyChoice choice;
  choice.repos = command.repos;
  choice.place = {command.location, command.path.value_or("")};
  choice.all_again = command.all_again;
  choice.repair = command.repair;
  choice.keep_wrong = command.keep_wrong;
  choice.dry_run = command.dry_run;
  choice.threads = command.threads;
  ASSIGN_OR_RETURN(auto const verified, care::verify(surroundings.work(), choice));
  surroundings.finish();
  context.out.text(text_of(verified, command.repair));
  context.out.value(care::to_json(verified));
  return care::is_clean(verified) ? kExitDone : kExitFailed;
}

}  // namespace homelab::cli
