#pragma once
// Registered models to their newest revision, or back to the one before: `homelab-llm update`.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "care/update_plan.h"
#include "care/work.h"
#include "hub/update.h"

namespace homelab::care {

struct UpdateChoice {
  std::vector<std::string> names;  ///< registered models; empty = all
  bool check = false;              ///< look only
  bool rollback = false;           ///< of one model
  bool dry_run = false;
  std::optional<std::string> to;    ///< revision instead of the newest, of one model
  std::optional<std::size_t> keep;  ///< revisions to keep afterwards
};

/// What happened, or would happen, to one ref.
struct UpdatedRef {
  UpdateGroup group;
  std::string
      state;  ///< "current", "available", "updated", "rolled_back", "not_downloaded", "failed"
  std::optional<cache::CommitHash> before;
  std::optional<cache::CommitHash> commit;  ///< where the ref is or would be
  std::size_t files = 0;                    ///< to come
  std::uint64_t bytes = 0;                  ///< to come
  std::uint64_t total_bytes = 0;
  std::uint64_t downloaded_bytes = 0;
  std::optional<hub::PruneAnswer> pruned;
  std::optional<Error> error;
};

struct Updated {
  std::vector<UpdatedRef> rows;
  std::vector<NotUpdatable> others;
  bool no_hub = false;  ///< the Hub could not be reached; what came after that was not asked for
  [[nodiscard]] bool complete() const;  ///< no row failed
};
/// Needs Work::hub. What the Hub said is told to Work::record_checks, unless this is a dry run or
/// asks for another revision than the newest. One ref that fails does not keep the others from
/// being updated. kCancelled when stopped: refs that were switched stay so, a download goes on next
/// time.
[[nodiscard]] Result<Updated> update(Work const& work, UpdateChoice const& choice);
[[nodiscard]] json::array to_json(Updated const& updated);

[[nodiscard]] Result<Answer> run(Work const& work, UpdateChoice const& choice);

}  // namespace homelab::care
