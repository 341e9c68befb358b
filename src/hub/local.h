#pragma once
// Completeness of a snapshot as it is on disk.
#include <optional>

#include "hub/downloader.h"

namespace homelab::hub {

/// How much must be there.
enum class Completeness {
  kPlanned,   ///< by a stored tree: all that a download of ours would fetch, except courtesy files
  kLoadable,  ///< what loading needs: weights, configuration, a tokenizer. For a Hub that is away
};

[[nodiscard]] Result<std::optional<ReadySnapshot>> find_local_commit(
    cache::Path const& hub_folder, cache::ModelReference const& model,
    cache::CommitHash const& commit, Completeness completeness);

/// find_local() with a choice.
[[nodiscard]] Result<std::optional<ReadySnapshot>> find_local(cache::Path const& hub_folder,
                                                              cache::ModelReference const& model,
                                                              Completeness completeness);

/// True if every file of the plan is in the snapshot with its size.
[[nodiscard]] bool has_all_files(cache::SnapshotView const& view, Plan const& plan,
                                 bool with_courtesy_files);

/// The result for a snapshot folder and the plan it fulfils.
[[nodiscard]] ReadySnapshot make_ready(cache::CommitHash const& commit, cache::Path const& folder,
                                       Plan const& plan);

}  // namespace homelab::hub
