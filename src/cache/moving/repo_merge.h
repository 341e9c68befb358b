#pragma once
// Brings one repository folder into another of the same name, by second names of the same files:
// until the source is taken away by the caller both are complete, and nothing ever dangles.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/os/file_lock.h"
#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cache {

struct MergeSides {
  Path source_hub;  ///< hub folder: <source_hub>/<name>, locks in <source_hub>/.locks/<name>
  Path target_hub;
  std::string name;  ///< "models--org--name"
};

struct MergeControl {
  bool dry_run = false;  ///< nothing is changed; equal sizes count as equal content
  /// The source keeps its own copies of what both have; else they become names of the one copy.
  bool keep_source = false;
  std::function<bool()> stop = [] { return false; };
  std::function<void(std::uint64_t bytes)> on_hashed = [](std::uint64_t) {};
};

struct MergeReport {
  std::uint64_t brought_bytes = 0;  ///< content that the target did not have
  std::uint64_t saved_bytes = 0;    ///< disk blocks of second copies that are gone (or would go)
  std::vector<std::string> remarks;
};

/// Blobs that both sides have are compared with their own name: the right copy stays, read once. A
/// ref of the target whose snapshot exists stays. Errors leave both sides whole: kAborted when
/// somebody downloads right now, kFailedPrecondition when the source holds something that belongs
/// to no repository folder or leads out of it, kDataLoss when both copies of a blob are damaged,
/// kCancelled.
[[nodiscard]] Result<MergeReport> merge_repo(MergeSides const& sides, MergeControl const& control);

/// kAborted when a lock file in <hub>/.locks/<name> is held: somebody downloads into this folder.
[[nodiscard]] Status nobody_downloads(Path const& hub_folder, std::string const& name);

/// Payloads that the repository's blobs lead to, each with its "<name>/blobs/<etag>".
struct StoreUse {
  std::string hash;
  std::string blob;
};
/// kFailedPrecondition when a blob is a link to anything but the store of its hub folder.
[[nodiscard]] Result<std::vector<StoreUse>> store_uses(Path const& hub_folder,
                                                       std::string const& name);

}  // namespace homelab::cache
