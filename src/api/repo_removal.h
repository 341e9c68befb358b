#pragma once
// Deletes the folder of one repository, exactly (design §2.7): nothing outside it, nothing through
// a link, nothing that somebody is writing.
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "cache/hub_folder.h"
#include "cache/locations.h"
#include "registry/model.h"

namespace homelab::api {

struct Removal {
  bool found = false;
  cache::Path path;  ///< the repository's folder that was removed, or the first one looked for
  std::uint64_t freed_bytes = 0;
};

/// Hub folders in which the files of a row may stand: where they are downloaded to first, then
/// other layouts of the root.
[[nodiscard]] std::vector<cache::Path> hub_folders_of(cache::Locations const& locations,
                                                      registry::Model const& model);

/// Name of another row in `others` whose files are in the same repository folder, by Hub id or
/// by a local path; empty when there is none.
[[nodiscard]] std::string other_user(cache::Locations const& locations,
                                     registry::Model const& model,
                                     std::vector<registry::Model> const& others);

/// Removes models--X from each of `hub_folders`: first what makes it visible (refs, then
/// snapshots), then the rest, so that a crash leaves at worst blobs that the next download uses
/// again. kAborted: a lock of the repository is held, nothing was touched. A models--X that
/// is a link itself counts as not found. Blocks for disk work.
[[nodiscard]] Result<Removal> remove_repo(std::vector<cache::Path> const& hub_folders,
                                          cache::RepoId const& repo);

}  // namespace homelab::api
