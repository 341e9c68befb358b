#include <algorithm>
#include <functional>

#include "care/printable.h"
#include "care/usage.h"

namespace homelab::care {
namespace {

using cache::Usage;

constexpr std::size_t kLargest = 10;

void keep_largest(std::vector<LargeRepo>& largest, LargeRepo repo) {
  auto const at =
      std::ranges::upper_bound(largest, repo.size_bytes, std::greater(), &LargeRepo::size_bytes);
  largest.insert(at, std::move(repo));
  if (largest.size() > kLargest) largest.pop_back();
}

Result<PlaceUsage> measure_location(Work const& work, cache::LocationOptions const& options) {
  constexpr double kBytesPerGb = 1024.0 * 1024.0 * 1024.0;
  auto const& locations = work.locations;
  PlaceUsage out;
  out.name = to_string(options.kind);
  out.root = options.root;
  out.hub_folders = hub_folders_of(locations, options);
  out.limit_bytes = static_cast<std::uint64_t>(std::max(0.0, options.limit_gb * kBytesPerGb));
  auto const hub = locations.resolve(options).hub.path;
  if (auto const disk = os::disk_space(hub)) out.disk = *disk;
  auto const visit = [&](cache::RepoScan const& repo) -> Status {
    keep_largest(out.largest, {repo.id, repo.type, repo.size_bytes(), repo.own_disk_bytes()});
    return work.stopped() ? Status(fail(Code::kCancelled, "stopped")) : Status();
  };
  auto usage =
      cache::measure(out.hub_folders, visit, cache::ScanDepth::kUses, cache::ScanSource::kIndex);
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

json::object part_json(Usage::Part const& part) {
  return {{"files", part.files}, {"disk_bytes", part.disk_bytes}};
}

json::object to_json(PlaceUsage const& location) {
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

Result<std::vector<PlaceUsage>> measure_places(Work const& work) {
  std::vector<PlaceUsage> out;
  for (auto const& location : work.locations.all()) {
    ASSIGN_OR_RETURN(auto place, measure_location(work, location));
    out.push_back(std::move(place));
  }
  return out;
}

json::array to_json(std::vector<PlaceUsage> const& places) {
  json::array out;
  for (auto const& place : places) out.push_back(to_json(place));
  return out;
}

Result<Answer> du(Work const& work) {
  ASSIGN_OR_RETURN(auto const places, measure_places(work));
  return Answer{to_json(places)};
}

}  // namespace homelab::care
