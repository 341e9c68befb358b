#pragma once
// Newer revisions of models that are in the cache: look, bring beside the old one, switch, and
// switch back (design §2: the ref moves last).
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "cache/removal.h"
#include "hub/downloader.h"

namespace homelab::hub {

struct UpdateQuestion {
  cache::Path hub_folder;
  cache::ModelReference model;            ///< its revision is the ref that will be moved
  std::optional<cache::Revision> wanted;  ///< instead of the newest commit of that revision
};

struct UpdateAnswer {
  std::optional<cache::CommitHash> current;  ///< where the ref stands on the disk
  bool current_complete = false;             ///< and can be loaded without the network
  cache::CommitHash target;
  bool target_complete = false;          ///< already in the cache, nothing to download
  std::vector<cache::TreeFile> to_come;  ///< files of the model that are not in the cache
  std::uint64_t total_bytes = 0;         ///< of the model at `target`
  [[nodiscard]] std::uint64_t bytes_to_come() const;
  [[nodiscard]] bool is_newer() const { return current != target; }
};

/// Asks the Hub where the revision is now and what would come. Nothing is asked when `wanted` is a
/// commit that is complete on the disk. Changes nothing. kFailedPrecondition when the model is
/// registered at a fixed commit and nothing else is wanted.
[[nodiscard]] Result<UpdateAnswer> look_for_update(HubApi const& api,
                                                   UpdateQuestion const& question,
                                                   Cancelled const& cancelled);

/// Downloads `target` beside what is there; no ref moves.
[[nodiscard]] Result<ReadySnapshot> stage_update(Downloader& downloader,
                                                 UpdateQuestion const& question,
                                                 cache::CommitHash const& target,
                                                 std::function<void(Progress const&)> on_progress,
                                                 Cancelled cancelled);

/// Moves the model's ref to `target`. kFailedPrecondition when the model is not complete there.
[[nodiscard]] Status switch_to(UpdateQuestion const& question, cache::CommitHash const& target);

/// Where the next roll_back() would go. kNotFound when no earlier complete commit is known: the
/// message lists the complete commits that there are.
[[nodiscard]] Result<cache::CommitHash> rollback_target(UpdateQuestion const& question);
/// Moves the ref back, without the network; gives where it stands now.
[[nodiscard]] Result<cache::CommitHash> roll_back(UpdateQuestion const& question);

struct PruneAnswer {
  std::size_t revisions = 0;      ///< that went, or would go
  std::uint64_t freed_bytes = 0;  ///< on the disk
  std::vector<cache::Kept> kept;  ///< what was to go and had to stay, with the reason
};
/// Removes the revisions that no ref names except the `keep` newest of the repository, for good, so
/// that the space is free. `needs`: what must stay in any case. `dry_run`: only says.
[[nodiscard]] Result<PruneAnswer> keep_newest(UpdateQuestion const& question, std::size_t keep,
                                              std::span<cache::Need const> needs, bool dry_run,
                                              Cancelled const& cancelled);

}  // namespace homelab::hub
