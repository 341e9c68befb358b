#pragma once
// What there is to read in one repository folder, and what its listings say without any reading.
#include <cstdint>
#include <string>
#include <vector>

#include "cache/verify.h"

namespace homelab::cache {

/// A file whose content must have a hash.
struct CheckTask {
  std::string path;  ///< in the repository folder: "blobs/<name>", "snapshots/<commit>/<path>"
  BlobName hash;
  std::uint64_t size_bytes = 0;
  [[nodiscard]] bool is_blob() const { return path.starts_with("blobs/"); }
};

/// A listing that gives a blob another size than it has: one of the two is wrong, the hash decides.
struct SizeDispute {
  std::string blob;
  EntryName entry;
  std::uint64_t listed_bytes = 0;
};

struct CheckPlan {
  std::vector<CheckTask> tasks;
  std::vector<VerifyFinding> findings;  ///< that need no reading
  std::vector<SizeDispute> disputes;
};
[[nodiscard]] CheckPlan plan_check(RepoScan const& scan);

}  // namespace homelab::cache
