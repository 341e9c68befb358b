// cache dedup: one copy of content that several repositories hold.
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

std::string text_of(cache::DedupReport const& report, bool dry_run) {
  if (report.shared.empty()) return "no content is there twice\n";
  Table table({{"BLOB"}, {"SIZE", Align::kRight}, {"SAME AS"}, {"HOW"}});
  for (auto const& blob : report.shared)
    table.add({blob.path.string(), human_bytes(blob.size_bytes), blob.same_as.string(),
               std::string(care::word_of(blob.how))});
  return table.render() +
         fmt::format("\n{} {} bytes ({}): {} before, {} after\n", dry_run ? "would free" : "freed",
                     report.disk_bytes_before - report.disk_bytes_after,
                     human_bytes(report.disk_bytes_before - report.disk_bytes_after),
                     report.disk_bytes_before, report.disk_bytes_after);
}

}  // namespace

Result<int> execute(Context const& context, CacheDedupCommand const& command) {
  StopSignal const signal;
  CareWork surroundings(context);
  ASSIGN_OR_RETURN(auto const report, care::dedup(surroundings.work(), {command.dry_run}));
  surroundings.finish();
  context.out.text(text_of(report, command.dry_run));
  context.out.value(care::to_json(report, command.dry_run));
  for (auto const& one : report.skipped)
    context.out.remark(printable(one.path.string() + ": " + one.why));
  if (report.stopped) context.out.remark("stopped; what is listed was done");
  return report.stopped ? kExitFailed : kExitDone;
}

}  // namespace homelab::cli
