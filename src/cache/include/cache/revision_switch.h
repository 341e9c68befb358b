#pragma once
// Moving a ref from one downloaded commit to another, so that it can be moved back. Other programs
// move refs too; what they did is never undone here.
#include <optional>

#include "base/result.h"
#include "cache/blob_writer.h"
#include "cache/names.h"

namespace homelab::cache {

/// Remembers what refs/<revision> said in <hub>/.locks/.homelab-llm/revisions/<repo folder>, then
/// moves the ref: the last step, durable when this returns (design §2). The snapshot of `to` must
/// be complete. Nothing happens when the ref says so already.
[[nodiscard]] Status switch_revision(RepoWriter const& writer, Revision const& revision,
                                     CommitHash const& to);

/// Where the ref stood before switch_revision() moved it to where it is now. nullopt when that is
/// not known: nothing was switched, or another program has moved the ref since.
[[nodiscard]] Result<std::optional<CommitHash>> commit_before(RepoFolder const& folder,
                                                              Revision const& revision);

/// Moves the ref back to commit_before() and forgets that switch, so that the next one goes further
/// back. kFailedPrecondition when nothing is known.
[[nodiscard]] Result<CommitHash> switch_back(RepoWriter const& writer, Revision const& revision);

}  // namespace homelab::cache
