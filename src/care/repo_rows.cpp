#include "care/repo_rows.h"

#include <fmt/format.h>

#include <array>
#include <set>
#include <system_error>
#include <utility>

#include "base/strings.h"
#include "base/time.h"
#include "cache/usage.h"
#include "care/printable.h"

namespace homelab::care {
namespace {

using cache::EntryFacts;
using cache::Leftover;
using cache::RepoScan;
using cache::RepoType;

constexpr std::array kTypes = {RepoType::kModel, RepoType::kDataset, RepoType::kSpace,
                               RepoType::kKernel};

json::array texts(std::vector<std::string> const& list) {
  json::array out;
  for (auto const& one : list) out.emplace_back(json_text(one));
  return out;
}

json::array problems_json(std::vector<cache::Problem> const& problems) {
  json::array out;
  for (auto const& problem : problems) {
    out.push_back(json::object{{"path", json_text(problem.path.string())},
                               {"what", json_text(problem.what)}});
  }
  return out;
}

json::object revision_json(cache::RevisionFacts const& revision) {
  return {{"commit", revision.commit.text()},
          {"refs", texts(revision.refs)},
          {"files", revision.files},
          {"modified", time_json(revision.modified_ns)}};
}

json::array files_json(RepoScan const& repo, cache::RevisionFacts const& revision) {
  json::array out;
  for (auto const& entry : revision.entries) {
    json::object file{{"path", json_text(entry.path)},
                      {"size_bytes", entry.size_bytes},
                      {"state", word_of(entry.state)},
                      {"blob", nullptr}};
    if (entry.blob) file["blob"] = json_text(repo.blobs[*entry.blob].name);
    out.push_back(std::move(file));
  }
  return out;
}

/// "dataset/org/name" (or "datasets/...") -> the one type; "org/name" -> all of them.
std::vector<std::string> folder_names_of(std::string const& word) {
  std::vector<std::string> names;
  std::string_view rest = word;
  std::optional<RepoType> only;
  for (auto const type : kTypes) {
    for (std::string const ending : {"/", "s/"}) {
      std::string const prefix = std::string(to_string(type)) + ending;
      // "model/name" may also be the name of somebody called "model".
      if (word.starts_with(prefix) && word.find('/', prefix.size()) != std::string::npos) {
        only = type;
        rest = std::string_view(word).substr(prefix.size());
      }
    }
  }
  auto const id = cache::RepoId::parse(rest);
  if (!id) return names;
  std::string const tail = id->folder_name().substr(std::string_view("models").size());
  for (auto const type : kTypes)
    if (!only || type == *only) names.push_back(std::string(to_string(type)) + "s" + tail);
  return names;
}

}  // namespace

std::string_view word_of(EntryFacts::State state) {
  switch (state) {
    case EntryFacts::State::kLink:
      return "link";
    case EntryFacts::State::kFile:
      return "file";
    case EntryFacts::State::kDangling:
      return "missing";
    case EntryFacts::State::kOutside:
      return "outside";
  }
  return "link";
}

std::string_view word_of(Leftover::Kind kind) {
  switch (kind) {
    case Leftover::Kind::kOwnPartial:
      return "partial download";
    case Leftover::Kind::kForeignPartial:
      return "partial download of another program";
    case Leftover::Kind::kTemporary:
      return "temporary file";
  }
  return "temporary file";
}

std::uint64_t size_of(cache::RevisionFacts const& revision) {
  std::uint64_t sum = 0;
  std::set<std::size_t> seen;
  for (auto const& entry : revision.entries)
    if (!entry.blob || seen.insert(*entry.blob).second) sum += entry.size_bytes;
  return sum;
}

json::value time_json(std::int64_t ns_since_1970) {
  if (ns_since_1970 == 0) return nullptr;
  return json::value(to_iso_utc(UtcTime(std::chrono::microseconds(ns_since_1970 / 1000))));
}

RepoRow to_row(RepoScan const& repo, std::string location) {
  RepoRow row;
  row.type = repo.type;
  row.id = repo.id;
  row.location = std::move(location);
  row.folder = repo.folder;
  row.size_bytes = repo.size_bytes();
  row.disk_bytes = repo.own_disk_bytes() - repo.link_disk_bytes;
  row.last_used_ns = repo.last_used_ns();
  row.snapshots = repo.revisions.size();
  std::set<std::string> refs;
  for (auto const& revision : repo.revisions) {
    refs.insert(revision.refs.begin(), revision.refs.end());
    row.revisions.push_back(
        {revision.commit, revision.refs, {}, revision.files, revision.modified_ns});
  }
  for (auto const& [ref, commit] : repo.dangling_refs) refs.insert(ref);
  row.refs.assign(refs.begin(), refs.end());
  row.problems = repo.problems;
  return row;
}

Result<RepoRows> list_cached_repos(cache::Locations const& locations,
                                   std::function<bool()> const& stop) {
  RepoRows rows;
  std::set<cache::Path> seen;
  for (auto const& options : locations.all()) {
    std::string const location(to_string(options.kind));
    for (auto const& folder : hub_folders_of(locations, options)) {
      // Two locations may be the same folder.
      if (!seen.insert(folder).second) continue;
      auto const hub = cache::scan_hub(
          folder,
          [&](RepoScan&& repo) -> Status {
            rows.repos.push_back(to_row(repo, location));
            return stop && stop() ? Status(fail(Code::kCancelled, "stopped")) : Status();
          },
          cache::ScanDepth::kSizes, cache::ScanSource::kIndex);
      if (!hub && hub.error().code == Code::kNotFound) continue;
      if (!hub && hub.error().code == Code::kCancelled) return fail(hub.error());
      if (!hub) {
        // A drive that fails must not hide the other location.
        rows.problems.push_back({folder, hub.error().message});
        continue;
      }
      rows.problems.insert(rows.problems.end(), hub->problems.begin(), hub->problems.end());
      for (auto const& link : hub->links) {
        std::error_code error;
        auto const target = std::filesystem::canonical(link, error);
        // A bridged root links into its own hub folder, where the repository is listed.
        if (!error && target.parent_path() ==
                          std::filesystem::canonical(locations.resolve(options).hub.path, error))
          continue;
        rows.problems.push_back({link,
                                 "is a link that leads out of the cache folder; what is "
                                 "behind it is not listed"});
      }
    }
  }
  return rows;
}

Result<std::vector<PlacedScan>> find_cached_repo(cache::Locations const& locations,
                                                 std::string const& word) {
  auto const names = folder_names_of(word);
  if (names.empty())
    return fail(Code::kInvalidArgument, fmt::format("\"{}\" is no repository; expected ORG/NAME or "
                                                    "TYPE/ORG/NAME",
                                                    printable(word)));
  std::vector<PlacedScan> found;
  std::set<cache::Path> seen;
  for (auto const& options : locations.all()) {
    for (auto const& folder : hub_folders_of(locations, options)) {
      if (!seen.insert(folder).second) continue;
      for (auto const& name : names) {
        auto repo = cache::scan_repo(folder / name);
        if (repo) {
          found.push_back({std::string(to_string(options.kind)), std::move(*repo)});
        } else if (repo.error().code != Code::kNotFound) {
          return fail(repo.error());
        }
      }
    }
  }
  if (found.empty())
    return fail(Code::kNotFound,
                fmt::format("{} is not in the cache folders; see: homelab-llm cache ls", word));
  return found;
}

json::object to_json(RepoRow const& row) {
  json::array revisions;
  for (auto const& revision : row.revisions) revisions.push_back(revision_json(revision));
  json::object out{{"repo", json_text(row.id)},
                   {"type", to_string(row.type)},
                   {"location", row.location},
                   {"folder", json_text(row.folder.string())},
                   {"size_bytes", row.size_bytes},
                   {"disk_bytes", row.disk_bytes},
                   {"last_used", time_json(row.last_used_ns)},
                   {"refs", texts(row.refs)},
                   {"snapshots", row.snapshots},
                   {"revisions", std::move(revisions)},
                   {"problems", problems_json(row.problems)}};
  if (row.registered_as) out["registered_as"] = texts(*row.registered_as);
  return out;
}

json::object to_json(PlacedScan const& repo, RepoRow const& row) {
  json::object out = to_json(row);
  json::array revisions;
  for (auto const& revision : repo.scan.revisions) {
    json::object one = revision_json(revision);
    one["size_bytes"] = size_of(revision);
    one["entries"] = files_json(repo.scan, revision);
    revisions.push_back(std::move(one));
  }
  out["revisions"] = std::move(revisions);
  json::array blobs;
  for (auto const& blob : repo.scan.blobs) {
    blobs.push_back(json::object{{"name", json_text(blob.name)},
                                 {"size_bytes", blob.size_bytes},
                                 {"disk_bytes", blob.disk_bytes},
                                 {"entries", blob.entries},
                                 {"in_shared_store", blob.in_shared_store},
                                 {"last_used", time_json(blob.accessed_ns)}});
  }
  out["blobs"] = std::move(blobs);
  json::array leftovers;
  for (auto const& leftover : repo.scan.leftovers) {
    leftovers.push_back(json::object{{"path", json_text(leftover.path.string())},
                                     {"what", word_of(leftover.kind)},
                                     {"disk_bytes", leftover.disk_bytes},
                                     {"modified", time_json(leftover.modified_ns)},
                                     {"live", leftover.live}});
  }
  out["leftovers"] = std::move(leftovers);
  json::object dangling;
  for (auto const& [ref, commit] : repo.scan.dangling_refs)
    dangling[json_text(ref)] = json_text(commit);
  out["dangling_refs"] = std::move(dangling);
  return out;
}

}  // namespace homelab::care
