#pragma once
// Deleting from a cache, exactly (design §2.7): a plan says what goes, what it frees and what
// stays; executing it looks at the disk again before each step (hf-cache rules, §9, §10.14).
//
// Plans are pure functions of a RepoScan and of what the caller looked up (DiskFacts). Paths are
// relative to the hub folder, '/'-separated, bytes as on disk.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/scan.h"

namespace homelab::cache {

/// Something that must stay because somebody uses it: a registration, a running engine.
struct Need {
  Path path;  ///< a repository folder, or something inside one (a local path into a snapshot)
  std::optional<std::string> revision;  ///< ref that is asked for ("main")
  std::optional<CommitHash> commit;     ///< what is in use; with neither, every revision is needed
  std::string why;                      ///< "registered as 'smol'"
};

// --- what is asked for -------------------------------------------------------------------------

/// REPO[@REVISION][:FILE] with an optional "model/", "dataset/", "space/" or "kernel/" before it.
struct RemovalTarget {
  RepoType type = RepoType::kModel;
  std::string id;
  std::optional<std::string> revision;  ///< ref, commit or the beginning (>= 7 digits) of one
  std::optional<std::string> file;      ///< path in the repository; of every revision without one
  /// kInvalidArgument names the input and what was expected.
  [[nodiscard]] static Result<RemovalTarget> parse(std::string_view text);
  [[nodiscard]] std::string folder_name() const;  ///< "datasets--org--name"
};

/// What shall go from one repository.
struct RemovalWish {
  bool everything = false;
  std::set<CommitHash> revisions;
  std::map<CommitHash, std::set<std::string>> files;  ///< entries of revisions that stay
  std::set<std::string> refs;                         ///< names alone, their revisions stay
  std::set<std::string> blobs;                        ///< names in blobs/ that nothing refers to
  std::set<std::size_t> leftovers;                    ///< indices into RepoScan::leftovers
  std::set<std::string> listings;  ///< commits whose trees/ and .no_exist/ outlived them
  bool folder_if_empty = false;    ///< the repository folder, when nothing remains in it
  [[nodiscard]] bool empty() const;
};

/// Something that was considered and stays.
struct Kept {
  std::string path;
  std::string why;
};

/// A wish and what was deliberately left out of it.
struct Proposal {
  RemovalWish wish;
  std::vector<Kept> kept;
};

/// Blocks and names of what stands at a path; of everything below it when it is a folder.
struct DiskUse {
  struct Shared {
    FileIdentity identity;
    std::uint64_t disk_bytes = 0;
    std::uint64_t names = 1;  ///< hard links
  };
  bool exists = false;
  std::uint64_t own_bytes = 0;  ///< blocks of what has no other name
  std::vector<Shared> shared;   ///< one per name of a file that has more than one
  std::int64_t modified_ns = 0;
};

/// Where a blob's content stands when it is in the shared store (hf-cache rules, §6).
struct StorePayload {
  std::string path;  ///< "blobs/<hh>/<hash>"
  /// Valid lines of its manifest; nullopt: there is none or it cannot be read, so it must stay.
  std::optional<std::set<std::string>> references;
};

/// What a plan must know beyond the scan. On disk: look_up().
struct DiskFacts {
  std::function<DiskUse(std::string const& path)> use;
  std::function<std::optional<StorePayload>(std::string const& blob_path)> payload;
  std::set<std::string>
      listings;  ///< commits that have a trees/<commit>.json or .no_exist/<commit>
};
/// Lazy: `use` and `payload` look when they are called.
[[nodiscard]] DiskFacts look_up(Path const& hub_folder, std::string const& repo_folder_name);

/// One target. kNotFound when the repository has no such revision or file.
[[nodiscard]] Result<Proposal> propose_rm(RepoScan const& scan, RemovalTarget const& target);

/// Both together.
[[nodiscard]] Proposal merged(Proposal one, Proposal const& other);

/// Revisions without a ref, except the `keep` newest revisions of the repository; none while a ref
/// is unclear (RepoScan::refs_clear), because it may name any of them.
[[nodiscard]] Proposal propose_prune(RepoScan const& scan, std::size_t keep);

struct GcRules {
  std::int64_t now_ns = 0;
  std::int64_t older_than_ns = std::int64_t{24} * 3600 * 1'000'000'000;
  /// Own partials resume, so they stay longer.
  std::int64_t own_partials_older_than_ns = std::int64_t{7} * 24 * 3600 * 1'000'000'000;
};
/// Unreferenced blobs, dead partials, temporaries, listings of gone revisions, refs without a
/// snapshot, and the folder when nothing else is in it. Nothing of a repository that somebody
/// downloads right now but what is certainly dead.
[[nodiscard]] Proposal propose_gc(RepoScan const& scan, DiskFacts const& facts,
                                  GcRules const& rules);

// --- plan --------------------------------------------------------------------------------------

/// In the order in which they go: what makes content visible first.
enum class RemovalKind {
  kRef,
  kSnapshot,
  kEntry,
  kBlob,
  kPayload,   ///< in the shared store
  kTree,      ///< trees/<commit>.json
  kAbsences,  ///< .no_exist/<commit>
  kLeftover,
  kFolder,  ///< the repository folder, once it is empty
};
[[nodiscard]] std::string_view to_string(RemovalKind kind);  ///< "snapshot", ...
[[nodiscard]] std::optional<RemovalKind> parse_removal_kind(std::string_view text);

struct RemovalItem {
  RemovalKind kind = RemovalKind::kBlob;
  std::string path;
  std::string why;
  std::uint64_t size_bytes = 0;   ///< of the content
  std::uint64_t frees_bytes = 0;  ///< blocks that this step gives back
  DiskUse use;
  std::optional<std::string> commit;  ///< a ref's content when the plan was made
  bool if_bare = false;               ///< a folder: only while there are but folders in it
};

struct RemovalPlan {
  Path hub_folder;
  std::string repo_folder_name;
  RepoType type = RepoType::kModel;
  std::string id;
  std::vector<RemovalItem> items;
  std::vector<Kept> kept;
  std::vector<Kept> refused;  ///< was asked for, but is needed
  [[nodiscard]] std::uint64_t frees_bytes() const;
};

/// `force`: what is needed goes too (it is then in `kept` as a warning). Never in a plan: what
/// somebody is downloading right now.
[[nodiscard]] RemovalPlan plan_removal(RepoScan const& scan, Proposal const& proposal,
                                       std::span<Need const> needs, DiskFacts const& facts,
                                       bool force);

/// Plans for the repositories of a hub folder that `propose` wants something from, sorted by folder
/// name. What is needed and not forced is in `refused`.
using Propose = std::function<Proposal(RepoScan const&, DiskFacts const&)>;
[[nodiscard]] Result<std::vector<RemovalPlan>> plan_hub(Path const& hub_folder,
                                                        Propose const& propose,
                                                        std::span<Need const> needs, bool force);

/// Plans for targets, looked for in each of `hub_folders`; targets in one repository become one
/// plan. kNotFound when a target stands in none of them.
[[nodiscard]] Result<std::vector<RemovalPlan>> plan_targets(std::span<Path const> hub_folders,
                                                            std::span<RemovalTarget const> targets,
                                                            std::span<Need const> needs,
                                                            bool force);

/// Blocks that come free when exactly `items` go: a file with other names frees nothing.
[[nodiscard]] std::uint64_t freed_bytes(std::span<RemovalItem const* const> items);

// --- execution ---------------------------------------------------------------------------------

struct RemovalOptions {
  bool use_trash = true;            ///< false: deleted at once
  std::string reason;               ///< for the trash's listing: "cache rm org/name"
  std::function<bool()> cancelled;  ///< asked between steps
};

struct RemovalReport {
  std::vector<std::string> removed;
  std::vector<Kept> skipped;      ///< busy, changed meanwhile, or not permitted
  std::uint64_t freed_bytes = 0;  ///< with the trash: once it is emptied
  std::string trash_id;           ///< empty when nothing is in the trash
  bool cancelled = false;
};

/// Carries out a plan. Blobs and partials only under their etag lock, tried once; each blob only
/// when a fresh scan finds no entry that leads to it. Ended at any point, it leaves no link to a
/// missing blob, and running it again finishes. Errors only when nothing could be begun (no such
/// folder, no permission for the trash); later troubles are in `skipped`.
[[nodiscard]] Result<RemovalReport> execute_removal(RemovalPlan const& plan,
                                                    RemovalOptions const& options);

/// kAborted, naming the lock, when some program holds one of the repository right now. For callers
/// that want all or nothing; execute_removal() looks at each blob's lock itself.
[[nodiscard]] Status check_idle(Path const& hub_folder, std::string const& repo_folder_name);

}  // namespace homelab::cache
