#pragma once
// Taking wrong content out of service.
#include <optional>

#include "cache/hub_folder.h"
#include "content_check.h"

namespace homelab::cache {

struct Quarantined {
  /// Where the content is now; nullopt: it was a link to the shared store, whose payload stays.
  std::optional<Path> path;
};

/// Moves blobs/<name> of `repo_folder` to <hub>/.locks/.homelab-llm/quarantine/<repo folder>/
/// <name>.<8 hex>, durable when this returns; of a link into the shared store, only the link goes.
/// kAborted: somebody holds the etag lock, or it is not the content with these facts any more.
[[nodiscard]] Result<Quarantined> quarantine_blob(Path const& repo_folder, BlobName const& name,
                                                  FileFacts const& judged);

}  // namespace homelab::cache
