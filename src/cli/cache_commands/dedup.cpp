// cache dedup: one copy of content that several repositories hold.
#include "cache/dedup.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "../context.h"
#include "../exit_code.h"
#include "../progress_printer.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"
#include "cache/usage.h"
#include "cli/settings_locations.h"
#include "commands.h"

namespace homelab::cli {
namespace {

using How = cache::SharedBlob::How;

std::string_view word_of(How how) {
  switch (how) {
    case How::kReflink:
      return "reflink";
    case How::kHardLink:
      return "hard link";
    case How::kNotYet:
      break;
  }
  return "dry run";
}

/// Of both locations: what is on one file system is shared whatever location it belongs to.
std::vector<cache::Path> all_hub_folders(cache::Locations const& locations) {
  std::vector<cache::Path> folders;
  for (auto const kind : {cache::LocationKind::kPrimary, cache::LocationKind::kSecondary}) {
    for (auto& folder : hub_folders_of(locations, kind))
      if (std::ranges::find(folders, folder) == folders.end()) folders.push_back(folder);
  }
  return folders;
}

json::object to_json(cache::DedupReport const& report, bool dry_run) {
  json::array shared;
  std::uint64_t freed = 0;
  for (auto const& blob : report.shared) {
    freed += blob.freed_bytes;
    shared.push_back(json::object{{"path", printable(blob.path.string())},
                                  {"same_as", printable(blob.same_as.string())},
                                  {"size_bytes", blob.size_bytes},
                                  {"freed_bytes", blob.freed_bytes},
                                  {"how", word_of(blob.how)}});
  }
  json::array skipped;
  for (auto const& one : report.skipped)
    skipped.push_back(
        json::object{{"path", printable(one.path.string())}, {"why", printable(one.why)}});
  return {{"dry_run", dry_run},
          {"disk_bytes_before", report.disk_bytes_before},
          {"disk_bytes_after", report.disk_bytes_after},
          {"freed_bytes", freed},
          {"shared", std::move(shared)},
          {"skipped", std::move(skipped)},
          {"stopped", report.stopped}};
}

std::string text_of(cache::DedupReport const& report, bool dry_run) {
  if (report.shared.empty()) return "no content is there twice\n";
  Table table({{"BLOB"}, {"SIZE", Align::kRight}, {"SAME AS"}, {"HOW"}});
  for (auto const& blob : report.shared)
    table.add({blob.path.string(), human_bytes(blob.size_bytes), blob.same_as.string(),
               std::string(word_of(blob.how))});
  return table.render() +
         fmt::format("\n{} {} bytes ({}): {} before, {} after\n", dry_run ? "would free" : "freed",
                     report.disk_bytes_before - report.disk_bytes_after,
                     human_bytes(report.disk_bytes_before - report.disk_bytes_after),
                     report.disk_bytes_before, report.disk_bytes_after);
}

}  // namespace

Result<int> execute(Context const& context, CacheDedupCommand const& command) {
  StopSignal const signal;
  ProgressPrinter printer(stderr_is_terminal());
  cache::DedupOptions options;
  options.dry_run = command.dry_run;
  options.stop = StopSignal::raised;
  options.progress = [&](cache::DedupProgress const& progress) {
    ProgressState state;
    state.label = "Comparing blobs";
    state.total_bytes = progress.total_bytes;
    state.done_bytes = progress.done_bytes;
    printer.show(std::move(state), progress.done_bytes);
  };
  ASSIGN_OR_RETURN(auto const report,
                   cache::dedup(all_hub_folders(locations_of(context.settings)), options));
  printer.finish();
  context.out.text(text_of(report, command.dry_run));
  context.out.value(to_json(report, command.dry_run));
  for (auto const& one : report.skipped)
    context.out.remark(printable(one.path.string() + ": " + one.why));
  if (report.stopped) context.out.remark("stopped; what is listed was done");
  return report.stopped ? kExitFailed : kExitDone;
}

}  // namespace homelab::cli
