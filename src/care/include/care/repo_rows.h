#pragma once
// Repositories of the cache folders as rows for people and for scripts.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "cache/locations.h"
#include "cache/scan.h"
#include "care/work.h"

namespace homelab::care {

/// What a list keeps of one repository: a scan of a large one is not kept.
struct RepoRow {
  cache::RepoType type = cache::RepoType::kModel;
  std::string id;
  std::string location;  ///< "primary", "secondary"
  cache::Path folder;
  std::uint64_t size_bytes = 0;  ///< each blob once
  std::uint64_t disk_bytes = 0;  ///< blocks, without shared-store payloads and links
  std::int64_t last_used_ns = 0;
  std::vector<std::string> refs;
  std::vector<cache::RevisionFacts> revisions;  ///< without entries
  std::size_t snapshots = 0;
  std::vector<cache::Problem> problems;
  std::optional<std::vector<std::string>> registered_as;  ///< nullopt: no server was asked
};
[[nodiscard]] RepoRow to_row(cache::RepoScan const& repo, std::string location);

struct RepoRows {
  std::vector<RepoRow> repos;
  std::vector<cache::Problem> problems;  ///< of the hub folders
};
/// Sizes, refs and what else a list needs; the files themselves are not looked through.
/// All repositories of the primary and the secondary location; missing folders are empty. `stop` is
/// asked after each repository; true ends with kCancelled.
[[nodiscard]] Result<RepoRows> list_cached_repos(cache::Locations const& locations,
                                                 std::function<bool()> const& stop = {});

/// One repository wherever it stands: "org/name" of any type, or "dataset/org/name". kNotFound
/// says what to do.
struct PlacedScan {
  std::string location;
  cache::RepoScan scan;
};
[[nodiscard]] Result<std::vector<PlacedScan>> find_cached_repo(cache::Locations const& locations,
                                                               std::string const& word);

/// "link", "file", "missing", "outside".
[[nodiscard]] std::string_view word_of(cache::EntryFacts::State state);
[[nodiscard]] std::string_view word_of(cache::Leftover::Kind kind);
/// Bytes of a revision's files, a blob that two paths share once.
[[nodiscard]] std::uint64_t size_of(cache::RevisionFacts const& revision);

[[nodiscard]] json::object to_json(RepoRow const& row);
/// The same fields and everything else about one repository.
[[nodiscard]] json::object to_json(PlacedScan const& repo, RepoRow const& row);

/// Which of `models` use the repositories, into registered_as.
void add_registrations(std::vector<RegisteredModel> const& models, std::vector<RepoRow>& repos);

/// What `cache ls` says: every repository, or one of them with its files.
[[nodiscard]] Result<Answer> ls(Work const& work, std::string const& repo);

/// RFC 3339 in UTC; null for 0.
[[nodiscard]] json::value time_json(std::int64_t ns_since_1970);

}  // namespace homelab::care
