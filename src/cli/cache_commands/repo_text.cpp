#include <fmt/format.h>

#include <chrono>

#include "../table.h"
#include "base/strings.h"
#include "repo_rows.h"

namespace homelab::cli {
namespace {

using cache::RepoScan;
using care::size_of;
using care::word_of;

std::string time_text(std::int64_t ns) {
  if (ns == 0) return "-";
  auto const day = std::chrono::floor<std::chrono::days>(
      std::chrono::sys_time<std::chrono::nanoseconds>(std::chrono::nanoseconds(ns)));
  std::chrono::year_month_day const date{day};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

}  // namespace

std::string repo_table(std::vector<RepoRow> const& repos) {
  Table table({{"TYPE"},
               {"REPOSITORY"},
               {"SIZE", Align::kRight},
               {"REVISIONS", Align::kRight},
               {"REFS"},
               {"LAST USED"},
               {"LOCATION"},
               {"FOLDER"}});
  for (auto const& repo : repos) {
    table.add({std::string(to_string(repo.type)), repo.id, human_bytes(repo.size_bytes),
               std::to_string(repo.snapshots), fmt::format("{}", fmt::join(repo.refs, " ")),
               time_text(repo.last_used_ns), repo.location, repo.folder.string()});
  }
  return table.render();
}

std::string repo_text(PlacedScan const& repo) {
  RepoScan const& scan = repo.scan;
  std::string text = render_fields({{"repository", printable(scan.id)},
                                    {"type", std::string(to_string(scan.type))},
                                    {"location", repo.location},
                                    {"folder", printable(scan.folder.string())},
                                    {"size", human_bytes(scan.size_bytes())},
                                    {"on disk", human_bytes(scan.own_disk_bytes())},
                                    {"last used", time_text(scan.last_used_ns())}});
  for (auto const& revision : scan.revisions) {
    text += fmt::format("\nrevision {}  {}  {} in {}\n", revision.commit.text(),
                        printable(fmt::format("{}", fmt::join(revision.refs, " "))),
                        human_bytes(size_of(revision)), counted(revision.files, "file"));
    Table table({{"FILE"}, {"SIZE", Align::kRight}, {"BLOB"}});
    for (auto const& entry : revision.entries) {
      table.add({entry.path, human_bytes(entry.size_bytes),
                 entry.blob ? scan.blobs[*entry.blob].name : std::string(word_of(entry.state))});
    }
    text += table.render();
  }
  Table rest({{"NEEDED BY NO REVISION"}, {"ON DISK", Align::kRight}, {"WHAT"}});
  for (auto const& blob : scan.blobs)
    if (blob.entries == 0) rest.add({"blobs/" + blob.name, human_bytes(blob.disk_bytes), "blob"});
  for (auto const& leftover : scan.leftovers) {
    rest.add({leftover.path.lexically_relative(scan.folder).string(),
              human_bytes(leftover.disk_bytes),
              std::string(word_of(leftover.kind)) + (leftover.live ? ", being written now" : "")});
  }
  return rest.empty() ? text : text + "\n" + rest.render();
}

}  // namespace homelab::cli
