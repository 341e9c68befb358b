// cache du: where the space went, per location.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "../context.h"
#include "../exit_code.h"
#include "../stop_signal.h"
#include "../table.h"
#include "base/os/file.h"
#include "base/strings.h"
#include "cache/usage.h"
#include "cli/settings_locations.h"
#include "commands.h"
#include "repo_rows.h"

namespace homelab::cli {
namespace {

using cache::Usage;

constexpr std::size_t kLargest = 10;

struct LargeRepo {
  std::string id;
  cache::RepoType type;
  std::uint64_t size_bytes;
  std::uint64_t disk_bytes;
};

struct LocationUsage {
  std::string name;
  std::string root;
  std::vector<cache::Path> hub_folders;
  Usage usage;
  std::vector<LargeRepo> largest;  ///< largest first
  std::uint64_t limit_bytes = 0;   ///< 0: none
  std::optional<os::DiskSpace> disk;
  std::string problem;  ///< why the sums are not known; empty: they are
};

void keep_largest(std::vector<LargeRepo>& largest, LargeRepo repo) {
  auto const at =
      std::ranges::upper_bound(largest, repo.size_bytes, std::greater(), &LargeRepo::size_bytes);
  largest.insert(at, std::move(repo));
  if (largest.size() > kLargest) largest.pop_back();
}

Result<LocationUsage> measure_location(cache::Locations const& locations,
                                       cache::LocationKind kind) {
  constexpr double kBytesPerGb = 1024.0 * 1024.0 * 1024.0;
  auto const& options =
      kind == cache::LocationKind::kPrimary ? locations.primary() : locations.secondary();
  LocationUsage out;
  out.name = to_string(kind);
  out.root = options.root;
  out.hub_folders = hub_folders_of(locations, kind);
  out.limit_bytes = static_cast<std::uint64_t>(std::max(0.0, options.limit_gb * kBytesPerGb));
  auto const hub = locations.resolve(kind, std::nullopt).hub.path;
  if (auto const disk = os::disk_space(hub)) out.disk = *disk;
  auto const visit = [&](cache::RepoScan const& repo) -> Status {
    keep_largest(out.largest, {repo.id, repo.type, repo.size_bytes(), repo.own_disk_bytes()});
    return StopSignal::raised() ? Status(fail(Code::kCancelled, "stopped")) : Status();
  };
  auto usage = cache::measure(out.hub_folders, visit);
  if (usage) {
    out.usage = *usage;
  } else if (usage.error().code == Code::kCancelled) {
    return fail(std::move(usage).error());
  } else {
    // A drive that fails must not hide the other location.
    out.problem = usage.error().message;
  }
  return out;
}

std::string part_text(Usage::Part const& part) {
  return fmt::format("{} in {} files", human_bytes(part.disk_bytes), part.files);
}

std::string folders_text(LocationUsage const& location) {
  std::string text;
  for (auto const& folder : location.hub_folders)
    text += (text.empty() ? "" : ", ") + printable(folder.string());
  return text.empty() ? "none yet" : text;
}

std::string text_of(LocationUsage const& location) {
  Usage const& usage = location.usage;
  std::vector<std::pair<std::string, std::string>> fields{
      {"  root", printable(location.root)},
      {"  hub folders", folders_text(location)},
      {"  repositories", fmt::format("{} with {} revisions", usage.repositories, usage.revisions)},
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

json::object part_json(Usage::Part const& part) {
  return {{"files", part.files}, {"disk_bytes", part.disk_bytes}};
}

json::object to_json(LocationUsage const& location) {
  Usage const& usage = location.usage;
  json::array folders;
  for (auto const& folder : location.hub_folders) folders.emplace_back(printable(folder.string()));
  json::array largest;
  for (auto const& repo : location.largest)
    largest.push_back(json::object{{"repo", printable(repo.id)},
                                   {"type", to_string(repo.type)},
                                   {"size_bytes", repo.size_bytes},
                                   {"disk_bytes", repo.disk_bytes}});
  json::value free = nullptr;
  json::value total = nullptr;
  if (location.disk) {
    free = location.disk->free_bytes;
    total = location.disk->total_bytes;
  }
  return {{"location", location.name},
          {"root", printable(location.root)},
          {"hub_folders", std::move(folders)},
          {"repositories", usage.repositories},
          {"revisions", usage.revisions},
          {"content_bytes", usage.content_bytes},
          {"disk_bytes", usage.disk_bytes},
          {"used_bytes", usage.used_bytes()},
          {"limit_bytes", location.limit_bytes},
          {"disk_free_bytes", std::move(free)},
          {"disk_total_bytes", std::move(total)},
          {"shared_store", part_json(usage.store)},
          {"partials", part_json(usage.partials)},
          {"live_partials", part_json(usage.live_partials)},
          {"temporaries", part_json(usage.temporaries)},
          {"unneeded_blobs", part_json(usage.orphans)},
          {"trash", part_json(usage.trash)},
          {"quarantine", part_json(usage.quarantine)},
          {"largest", std::move(largest)},
          {"problem", location.problem.empty() ? json::value(nullptr)
                                               : json::value(printable(location.problem))}};
}

}  // namespace

Result<int> execute(Context const& context, CacheDuCommand const&) {
  StopSignal const signal;
  auto const locations = locations_of(context.settings);
  json::array value;
  std::string text;
  for (auto const kind : {cache::LocationKind::kPrimary, cache::LocationKind::kSecondary}) {
    ASSIGN_OR_RETURN(auto const location, measure_location(locations, kind));
    text += (text.empty() ? "" : "\n") + text_of(location);
    value.push_back(to_json(location));
    if (!location.problem.empty()) context.out.remark(printable(location.problem));
  }
  context.out.text(text);
  context.out.value(value);
  return kExitDone;
}

}  // namespace homelab::cli
