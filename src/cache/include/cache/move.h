#pragma once
// Moving a repository into another hub folder (another location, another disk), so that at every
// moment one side is complete: what is at the source goes only after all of it stands at the target
// (hf-cache rules, §10). Ended at any point, the same call continues.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/scan.h"

namespace homelab::cache {

struct MoveRequest {
  Path from_hub;
  Path to_hub;                   ///< made when missing
  std::string repo_folder_name;  ///< "models--org--name"
  /// Somebody looks for the repository at the source until at_target() ran: it is made of hard
  /// links instead of being renamed, wherever that leaves nothing behind.
  bool keep_source_meanwhile = false;
  /// Called when everything stands at the target and, unless it was renamed, still at the source;
  /// an error leaves both sides as they are then.
  std::function<Status()> at_target;
  std::function<bool()> cancelled;
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> on_progress;
};

enum class MoveMethod {
  kNothing,  ///< it stands at the target already, and nothing at the source
  kRename,   ///< the folder as a whole: same file system, no folder at the target
  kLink,     ///< blob by blob as hard links: same file system, the target has a folder, or the
             ///< source must stay complete meanwhile
  kCopy,     ///< blob by blob, each checked against its name
};
[[nodiscard]] std::string_view to_string(MoveMethod method);  ///< "rename", ...

struct MovePlan {
  MoveMethod method = MoveMethod::kNothing;
  std::uint64_t total_bytes = 0;  ///< content of all blobs
  std::uint64_t copy_bytes = 0;   ///< of it must be written at the target
  /// Not moved, gone with the source: unfinished downloads, dangling entries, unreferenced blobs
  /// whose names are no hashes.
  std::vector<std::string> left_behind;
};

/// Reads only. kNotFound: neither side has the repository. kFailedPrecondition: a ref of the target
/// names another commit, or something in the source can be moved by renaming alone (files placed by
/// hand, links out of the cache, names that are no hashes). kResourceExhausted: it does not fit.
[[nodiscard]] Result<MovePlan> plan_move(MoveRequest const& request);

struct MoveReport {
  MoveMethod method = MoveMethod::kNothing;
  std::uint64_t copied_bytes = 0;
  std::uint64_t freed_bytes = 0;  ///< blocks at the source
};
/// kAborted: a lock of the repository is held (somebody downloads), or it changed meanwhile; run it
/// again. kDataLoss: a blob at the source is damaged; nothing was removed. kCancelled: stopped;
/// running it again continues.
[[nodiscard]] Result<MoveReport> move_repo(MoveRequest const& request);

}  // namespace homelab::cache
