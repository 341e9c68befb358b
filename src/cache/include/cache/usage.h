#pragma once
// What a location's hub folders hold, added up: the one way of counting, for quotas, lists and
// reports. Thread-safe.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "base/result.h"
#include "cache/locations.h"
#include "cache/scan.h"

namespace homelab::cache {

/// The program's own files in a hub folder: <hub>/.locks/.homelab-llm/<name>. Other programs'
/// scanners skip it, and it is the same file system.
[[nodiscard]] Path own_folder(Path const& hub_folder, std::string_view name);

struct Usage {
  /// Files of one sort and the blocks that they occupy.
  struct Part {
    std::uint64_t files = 0;
    std::uint64_t disk_bytes = 0;
  };
  std::uint64_t repositories = 0;
  std::uint64_t revisions = 0;
  /// Content of every blob and every shared-store payload once, whoever links to it, and of regular
  /// files in snapshots.
  std::uint64_t content_bytes = 0;
  /// Blocks of the repositories (hard links once), the store, the trash and the quarantine.
  std::uint64_t disk_bytes = 0;
  Part store;
  Part partials;       ///< unfinished downloads of all programs
  Part live_partials;  ///< those of them that are being written now
  Part temporaries;
  Part orphans;  ///< blobs that no snapshot needs
  Part trash;
  Part quarantine;

  /// What counts against a limit: content, and the blocks of what is unfinished or thrown away but
  /// not yet gone.
  [[nodiscard]] std::uint64_t used_bytes() const;
};

/// Adds up one repository after the other. Not thread-safe.
class UsageSum {
 public:
  void add(RepoScan const& repo);
  void add(Path const& hub_folder, HubScan const& hub);
  [[nodiscard]] Usage const& usage() const { return usage_; }

 private:
  void add_leftovers(RepoScan const& repo);
  Usage usage_;
  std::set<FileIdentity> seen_;  ///< of files with several names
};

/// The hub folders of a location, one of all(): its own, and the root itself when it holds
/// repositories of cache_dir= users. Only those that exist, each once.
[[nodiscard]] std::vector<Path> hub_folders_of(Locations const& locations,
                                               LocationOptions const& location);

/// Scans the hub folders and adds up; a folder that vanished is empty. `visit` (may be empty) sees
/// every repository; its error ends the work. With ScanDepth::kSizes `orphans` stays empty and
/// `disk_bytes` leaves out links.
[[nodiscard]] Result<Usage> measure(std::vector<Path> const& hub_folders,
                                    std::function<Status(RepoScan const&)> const& visit = {},
                                    ScanDepth depth = ScanDepth::kEverything,
                                    ScanSource source = ScanSource::kDisk);

}  // namespace homelab::cache
