#pragma once
// Makes scripts with cache_dir=<root> share the hub folder <root>/hub (design §3): their
// <root>/models--X, <root>/.locks and <root>/blobs become relative links into hub/.
//
// Existing <root>/models--X folders go into hub/ by renaming, or, where both exist, blob by blob
// through second names of the same files, so that no reader on either side ever sees something
// missing. Steps are durable and repeatable: after a crash the next run finishes. <root>/blobs must
// be a link because Python would keep a shared store (hf-cache rules, §6) there, which links inside
// hub/ cannot reach; a link makes Python do without one on that side.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cache {

struct BridgeOptions {
  bool dry_run = false;
  std::function<bool()> stop = [] { return false; };  ///< asked between files; kCancelled
  /// Bytes that were read to compare two copies, as they come.
  std::function<void(std::uint64_t bytes)> on_hashed = [](std::uint64_t) {};
};

struct BridgedRepo {
  enum class Action {
    kLinked,    ///< was in hub/ only: got its link
    kMoved,     ///< was in the root only: moved into hub/, and linked
    kMerged,    ///< was in both: one copy now, and linked
    kAlready,   ///< nothing had to be done
    kUnlinked,  ///< its link led nowhere (or --undo): the link is gone
    kLeft,      ///< stays as it is; `remarks` say why
  };
  std::string folder;  ///< "models--org--name"
  Action action = Action::kAlready;
  std::uint64_t brought_bytes = 0;  ///< content that hub/ did not have
  std::uint64_t saved_bytes = 0;    ///< disk space of second copies that are gone (or would go)
  std::vector<std::string> remarks;
};
[[nodiscard]] std::string_view to_string(BridgedRepo::Action action);

struct BridgeReport {
  Path root;
  Path hub_folder;
  std::vector<BridgedRepo> repos;     ///< sorted by folder
  std::vector<std::string> problems;  ///< beside the repositories: locks in use, ...
  [[nodiscard]] std::uint64_t saved_bytes() const;
  [[nodiscard]] bool complete() const;  ///< nothing was left or is a problem
};

/// kNotFound: no such root. kFailedPrecondition: root and hub/ are on two file systems. What is
/// wrong with one repository is in its row and does not end the run.
[[nodiscard]] Result<BridgeReport> bridge_root(Path const& root, BridgeOptions const& options);

/// Takes the links away again. What was moved stays in hub/.
[[nodiscard]] Result<BridgeReport> unbridge_root(Path const& root, BridgeOptions const& options);

/// True when <root>/.locks is the link that bridge_root() made.
[[nodiscard]] bool is_bridged(Path const& root);

/// For a root that is bridged: <root>/<folder> becomes a link when hub/<folder> exists and nothing
/// else stands there, and goes when hub/<folder> does not exist any more. To be called after a
/// repository was downloaded into hub/ or deleted from it; a root that is not bridged stays as it
/// is.
[[nodiscard]] Status keep_bridged(Path const& root, std::string const& folder);
/// The same, said of the hub folder; one that is not named hub belongs to no bridged root.
[[nodiscard]] Status keep_hub_bridged(Path const& hub_folder, std::string const& folder);

}  // namespace homelab::cache
