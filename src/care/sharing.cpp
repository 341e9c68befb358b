#include "care/sharing.h"

#include <fmt/format.h>

#include <algorithm>

#include "cache/usage.h"
#include "care/printable.h"

namespace homelab::care {
namespace {

using How = cache::SharedBlob::How;

/// Of all locations: what is on one file system is shared whatever location it belongs to.
std::vector<cache::Path> all_hub_folders(cache::Locations const& locations) {
  std::vector<cache::Path> folders;
  for (auto const& location : locations.all()) {
    for (auto& folder : hub_folders_of(locations, location))
      if (std::ranges::find(folders, folder) == folders.end()) folders.push_back(folder);
  }
  return folders;
}

Result<cache::Path> root_of(Work const& work, Place const& place) {
  ASSIGN_OR_RETURN(auto const chosen, choose_one(work.locations, place));
  // An explicit HF_HUB_CACHE is the folder of cache_dir= users already.
  auto const& resolved = chosen.resolved;
  if (place.path.empty() && resolved.hub.path != resolved.root / "hub" &&
      resolved.hub.path != resolved.root)
    return fail(Code::kFailedPrecondition,
                fmt::format("the hub folder is {}, named by the settings; a bridge joins ROOT and "
                            "ROOT/hub, so say which root: --path ROOT",
                            resolved.hub.path.string()));
  return resolved.root;
}

}  // namespace

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

Result<cache::DedupReport> dedup(Work const& work, DedupChoice const& choice) {
  cache::DedupOptions options;
  options.dry_run = choice.dry_run;
  options.stop = work.stopped;
  options.progress = [&](cache::DedupProgress const& progress) {
    work.on_progress(
        {"Comparing blobs", progress.done_bytes, progress.total_bytes, progress.done_bytes, 0, 0});
  };
  return cache::dedup(all_hub_folders(work.locations), options);
}

Result<cache::BridgeReport> bridge(Work const& work, BridgeChoice const& choice) {
  ASSIGN_OR_RETURN(auto const root, root_of(work, choice.place));
  std::uint64_t hashed = 0;
  cache::BridgeOptions options;
  options.dry_run = choice.dry_run;
  options.stop = work.stopped;
  options.on_hashed = [&](std::uint64_t bytes) {
    hashed += bytes;
    work.on_progress({"Comparing copies", hashed, 0, hashed, 0, 0});
  };
  auto report =
      choice.undo ? cache::unbridge_root(root, options) : cache::bridge_root(root, options);
  if (!report) return fail(std::move(report).error().in("bridge " + root.string()));
  return report;
}

json::object to_json(cache::BridgeReport const& report, bool dry_run) {
  json::array repos;
  for (auto const& repo : report.repos) {
    json::array remarks;
    for (auto const& remark : repo.remarks) remarks.emplace_back(printable(remark));
    repos.push_back(json::object{{"folder", printable(repo.folder)},
                                 {"action", to_string(repo.action)},
                                 {"brought_bytes", repo.brought_bytes},
                                 {"saved_bytes", repo.saved_bytes},
                                 {"remarks", std::move(remarks)}});
  }
  json::array problems;
  for (auto const& problem : report.problems) problems.emplace_back(printable(problem));
  return {{"root", json_text(report.root.string())},
          {"hub_folder", json_text(report.hub_folder.string())},
          {"dry_run", dry_run},
          {"repos", std::move(repos)},
          {"problems", std::move(problems)},
          {"saved_bytes", report.saved_bytes()}};
}

Result<Answer> run(Work const& work, DedupChoice const& choice) {
  ASSIGN_OR_RETURN(auto const report, dedup(work, choice));
  for (auto const& one : report.skipped) work.remark(printable(one.path.string() + ": " + one.why));
  return Answer{to_json(report, choice.dry_run), !report.stopped};
}

Result<Answer> run(Work const& work, BridgeChoice const& choice) {
  ASSIGN_OR_RETURN(auto const report, bridge(work, choice));
  return Answer{to_json(report, choice.dry_run), report.complete()};
}

}  // namespace homelab::care
