#pragma once
// Blobs that stand in several repositories under one sha256 name.
#include <cstdint>
#include <map>
#include <vector>

#include "cache/scan.h"

namespace homelab::cache::sharing {

/// One name of a blob.
struct Place {
  Path repo_folder;
  FileIdentity identity;
  std::uint64_t size_bytes = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t names = 1;  ///< hard links
};

struct Candidates {
  /// Same name, size and file system, at least two different files; those with most names first.
  struct Group {
    BlobName name;
    std::vector<Place> places;
  };
  std::vector<Group> groups;
  std::uint64_t disk_bytes = 0;  ///< of everything scanned
};

/// Two scans: the first keeps eight bytes per blob, the second only what is there twice.
[[nodiscard]] Result<Candidates> find_candidates(std::vector<Path> const& hub_folders);

}  // namespace homelab::cache::sharing
