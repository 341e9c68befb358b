#pragma once
// One pass over a hub folder: what is there, who refers to what, what is left over and what is
// wrong. Changes nothing (kIndex: writes its index), follows nothing out of the repository's own
// blobs and the shared store (hf-cache rules, §6, §8), never fails because of what it finds inside
// a repository. Opens folders, small refs and the locks of unfinished files, nothing else.
// Thread-safe.
//
// Blobs are read before snapshots, so while others download a blob may look unneeded for a moment;
// who deletes takes the etag lock and scans the repository again (§10.14).
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cache {

enum class RepoType { kModel, kDataset, kSpace, kKernel };
[[nodiscard]] std::string_view to_string(RepoType type);  ///< "model", ...

/// Which file on which disk: two names with the same identity are one file.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  auto operator<=>(FileIdentity const&) const = default;
};

/// What stands under one name in blobs/.
struct BlobFacts {
  std::string name;              ///< as on disk
  std::uint64_t size_bytes = 0;  ///< of the content
  std::uint64_t disk_bytes = 0;  ///< blocks that it occupies
  std::int64_t modified_ns = 0;  ///< since 1970, UTC
  std::int64_t accessed_ns = 0;  ///< coarse with relatime mounts
  FileIdentity identity;         ///< of the content, behind a link into the shared store
  bool in_shared_store = false;
  std::uint64_t names = 1;  ///< hard links that the content has, here and elsewhere
  std::size_t entries = 0;  ///< snapshot entries that lead to it; 0: nobody needs it, if `complete`

  /// When the name is one; foreign endpoints wrote others.
  [[nodiscard]] std::optional<BlobName> hash() const;
};

/// One path of a revision.
struct EntryFacts {
  enum class State {
    kLink,      ///< to a blob
    kFile,      ///< a regular file stands there (no-symlink caches, files placed by hand)
    kDangling,  ///< the content is missing: readers download it again
    kOutside,   ///< leads anywhere but to a blob of this repository; not followed
  };
  std::string path;  ///< inside the snapshot, '/'-separated, bytes as on disk
  State state = State::kLink;
  /// Index into RepoScan::blobs: of a kLink, and of a kFile that is a hard link to that blob.
  std::optional<std::size_t> blob;
  std::uint64_t size_bytes = 0;
};

struct RevisionFacts {
  CommitHash commit;
  std::vector<std::string> refs;    ///< that name this commit, sorted
  std::vector<EntryFacts> entries;  ///< sorted by path; only with ScanDepth::kEverything
  std::size_t files = 0;            ///< number of entries
  std::int64_t modified_ns = 0;     ///< of the snapshot folder
};

/// A file that no reader needs and that a clean-up may offer.
struct Leftover {
  enum class Kind {
    kOwnPartial,      ///< blobs/<name>.homelab.part, blobs/<name>.homelab.<hex>.part
    kForeignPartial,  ///< *.incomplete, *.downloadInProgress
    kTemporary,       ///< tmp_*, .*.shared, .*.homelab.*.link, refs/*.tmp, trees/tmp*
  };
  Kind kind;
  Path path;
  std::uint64_t disk_bytes = 0;
  std::int64_t modified_ns = 0;
  bool live = false;  ///< somebody holds its lock or the blob's etag lock right now
};

/// A regular file of a repository that has further names (hard links).
struct LinkedFile {
  FileIdentity identity;
  std::uint64_t size_bytes = 0;
  std::uint64_t disk_bytes = 0;
  bool is_content = false;  ///< a blob, or a file of a snapshot
};

/// Something that is not as the rules say. `what` is one sentence for people.
struct Problem {
  Path path;
  std::string what;
};

/// One repository folder.
struct RepoScan {
  RepoType type = RepoType::kModel;
  std::string id;  ///< "org/name" as derived from the folder's name
  Path folder;
  std::vector<BlobFacts> blobs;                      ///< sorted by name
  std::vector<RevisionFacts> revisions;              ///< sorted by commit
  std::map<std::string, std::string> dangling_refs;  ///< ref -> commit without a snapshot
  std::vector<Leftover> leftovers;
  std::vector<Problem> problems;        ///< at most 1,000
  std::uint64_t other_disk_bytes = 0;   ///< refs, trees, .no_exist, regular files in snapshots,
                                        ///< folders themselves
  std::uint64_t link_disk_bytes = 0;    ///< of links whose text does not fit beside the inode
  std::uint64_t plain_bytes = 0;        ///< content of regular files in snapshots, blobs not again
  std::int64_t plain_accessed_ns = 0;   ///< newest access of one of them
  std::vector<LinkedFile> hard_linked;  ///< each once, with those of `blobs` outside the store
  /// False when something could not be read to its end: then `entries` of a blob may be too low,
  /// and nobody may conclude that it is not needed.
  bool complete = true;
  /// False when a ref cannot be read or, at this moment, holds no commit (other programs write them
  /// in place, §2.3): then nobody may conclude that no ref names a revision.
  bool refs_clear = true;

  /// Content bytes, each blob once; regular files in snapshots included.
  [[nodiscard]] std::uint64_t size_bytes() const;
  /// Blocks of everything in the folder, shared-store payloads not included.
  [[nodiscard]] std::uint64_t own_disk_bytes() const;
  [[nodiscard]] std::int64_t last_used_ns() const;  ///< newest access of content, 0 without any
};

/// What is not inside a repository folder.
struct HubScan {
  std::uint64_t store_payloads = 0;
  std::uint64_t store_size_bytes = 0;  ///< content of <hub>/blobs, each payload once
  std::uint64_t store_disk_bytes = 0;  ///< blocks of the same
  std::vector<Problem> problems;       ///< entries of the hub folder that are no repository
  /// Repository names that are links (a bridged root, another drive); not followed.
  std::vector<Path> links;
};

/// How much is read.
enum class ScanDepth {
  kEverything,
  /// Links of snapshots are counted, not read: sizes, names and refs for a list. On ext4 each link
  /// is a block to read. Such a scan is never `complete`: nobody knows which blobs are needed.
  kSizes,
  /// Links are read and everything but RevisionFacts::entries is given: who needs which blob, how
  /// much all of it takes.
  kUses,
};

/// Where the answer may come from; it is the same.
enum class ScanSource {
  kDisk,  ///< every folder is read
  /// Of a repository that was scanned before, the names and facts of its folders, blobs, refs and
  /// listings are compared with what they were; it is read only when one of them differs. What is
  /// remembered is in <hub>/.locks/.homelab-llm/index; a cache that cannot be written is read each
  /// time. For lists and sums; who deletes reads the disk. kEverything is always read.
  kIndex,
};

/// Calls `visit` on this thread for every repository folder, sorted by folder name; a few
/// repositories are in memory at a time, read by a few threads that end with the call. An error of
/// `visit` ends the scan and is returned. kNotFound: no such hub folder.
[[nodiscard]] Result<HubScan> scan_hub(Path const& hub_folder,
                                       std::function<Status(RepoScan&&)> const& visit,
                                       ScanDepth depth = ScanDepth::kEverything,
                                       ScanSource source = ScanSource::kDisk);

/// One repository folder, also when its own name is a link; kInvalidArgument when its name is none
/// of a repository.
[[nodiscard]] Result<RepoScan> scan_repo(Path const& repo_folder,
                                         ScanDepth depth = ScanDepth::kEverything);

}  // namespace homelab::cache
