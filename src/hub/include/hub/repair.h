#pragma once
// Single files of a commit that is in the cache, fetched again because their content is wrong or
// missing.
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/names.h"
#include "hub/downloader.h"

namespace homelab::hub {

struct WantedFile {
  cache::CommitHash commit;
  cache::RepoPath path;
};

struct RepairRequest {
  cache::Path hub_folder;
  cache::RepoId repo;
  std::vector<WantedFile> files;
  std::vector<cache::CommitHash> listings;  ///< whose trees/<commit>.json is written anew
  std::function<void(Progress const&)> on_progress;
  Cancelled cancelled;
};

struct RepairOutcome {
  std::uint64_t downloaded_bytes = 0;
  /// One commit that fails does not keep the others from being repaired.
  std::vector<Error> errors;
};

/// Blobs that are there with the right size are left as they are, so wrong content must be out of
/// the way. Links are made where they are missing or wrong; no ref is touched. Same order of
/// effects and same resume as a download. Sizes and hashes come from the stored listing, else from
/// the Hub.
[[nodiscard]] Result<RepairOutcome> repair(http::Client& client, HubApi const& api,
                                           Downloader::Options const& options,
                                           RepairRequest const& request);

}  // namespace homelab::hub
