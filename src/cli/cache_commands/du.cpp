// cache du: where the space went, per location.
#include <fmt/format.h>

#include "../context.h"
#include "../exit_code.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/strings.h"
#include "care/usage.h"
#include "care_work.h"
#include "commands.h"

namespace homelab::cli {
namespace {

using cache::Usage;

std::string part_text(Usage::Part const& part) {
  return fmt::format("{} in {}", human_bytes(part.disk_bytes), counted(part.files, "file"));
}

std::string folders_text(care::PlaceUsage const& location) {
  std::string text;
  for (auto const& folder : location.hub_folders)
    text += (text.empty() ? "" : ", ") + printable(folder.string());
  return text.empty() ? "none yet" : text;
}

std::string text_of(care::PlaceUsage const& location) {
  Usage const& usage = location.usage;
  std::vector<std::pair<std::string, std::string>> fields{
      {"  root", printable(location.root)},
      {"  hub folders", folders_text(location)},
      {"  repositories",
       fmt::format("{} with {}", usage.repositories, counted(usage.revisions, "revision"))},
      {"  content", human_bytes(usage.content_bytes)},
      {"  on disk", human_bytes(usage.disk_bytes)},
      {"  shared store", part_text(usage.store)},
      {"  unfinished", fmt::format("{}, {} being written now", part_text(usage.partials),
                                   usage.live_partials.files)},
      {"  temporary", part_text(usage.temporaries)},
      {"  unneeded blobs", part_text(usage.orphans)},
      {"  trash", part_text(usage.trash)},
      {"  quarantine", part_text(usage.quarantine)}};
  fields.emplace_back("  limit", location.limit_bytes == 0
                                     ? "none"
                                     : fmt::format("{}, {} used", human_bytes(location.limit_bytes),
                                                   human_bytes(usage.used_bytes())));
  fields.emplace_back(
      "  disk", location.disk ? fmt::format("{} of {} free", human_bytes(location.disk->free_bytes),
                                            human_bytes(location.disk->total_bytes))
                              : "not known");
  std::string text = fmt::format("Cache location {}\n", location.name) + render_fields(fields);
  if (location.largest.empty()) return text;
  Table table({{"  LARGEST"}, {"TYPE"}, {"SIZE", Align::kRight}, {"ON DISK", Align::kRight}});
  for (auto const& repo : location.largest)
    table.add({"  " + repo.id, std::string(to_string(repo.type)), human_bytes(repo.size_bytes),
               human_bytes(repo.disk_bytes)});
  return text + table.render();
}

}  // namespace

Result<int> execute(Context const& context, CacheDuCommand const&) {
  StopSignal const signal;
  ASSIGN_OR_RETURN(auto const usage, care::measure_places(CareWork(context).work()));
  std::string text;
  for (auto const& location : usage) {
    text += (text.empty() ? "" : "\n") + text_of(location);
    if (!location.problem.empty()) context.out.remark(printable(location.problem));
  }
  context.out.text(text);
  context.out.value(care::to_json(usage));
  return kExitDone;
}

}  // namespace homelab::cli
