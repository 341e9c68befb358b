#pragma once
// One copy of content that several repositories hold: blobs with the same sha256 name, size and
// (hashed) bytes on one file system become one file: a reflink where the file system can, else a
// hard link. Readers notice nothing; other programs keep their names. Thread-safe.
//
// A hard link has one owner, one mode and one content: files that differ in owner, mode or access
// list are left alone, and a program that overwrites a blob in place (hf-cache rules, §7) then
// changes it for all its repositories - as a shared-store payload would. A reflink has none of
// this, but du and the usage sums go on counting its blocks for each file: only the disk's free
// space shows what was won.
//
// Under the etag locks of both repositories (tried once; busy ones are skipped). The new file is
// made beside the old one and renamed over it: a crash leaves the older state, at most with a
// temporary that scans report and clean-up removes.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cache {

struct DedupProgress {
  std::uint64_t total_bytes = 0;  ///< to be read and hashed
  std::uint64_t done_bytes = 0;
};

struct DedupOptions {
  bool dry_run = false;        ///< reads and compares everything, changes nothing
  std::function<bool()> stop;  ///< asked often; true ends after the current file; may be empty
  std::function<void(DedupProgress const&)> progress;  ///< may be empty
};

/// One blob that became (or in a dry run would become) the same file as `same_as`.
struct SharedBlob {
  enum class How { kReflink, kHardLink, kNotYet };  ///< kNotYet: a dry run
  Path path;
  Path same_as;
  std::uint64_t size_bytes = 0;
  std::uint64_t freed_bytes = 0;  ///< blocks; 0 while the old file has another name
  How how = How::kNotYet;
};

struct DedupReport {
  std::uint64_t disk_bytes_before = 0;  ///< blocks of all repositories and stores looked at
  std::uint64_t disk_bytes_after = 0;   ///< before, less what was freed (in a dry run: would be)
  std::vector<SharedBlob> shared;
  struct Skipped {
    Path path;
    std::string why;  ///< one sentence
  };
  std::vector<Skipped> skipped;
  bool stopped = false;  ///< `stop` said so; what is reported was done
};

/// Over all hub folders together. Missing hub folders are empty; what goes wrong with one file is
/// in `skipped`.
[[nodiscard]] Result<DedupReport> dedup(std::vector<Path> const& hub_folders,
                                        DedupOptions const& options);

}  // namespace homelab::cache
