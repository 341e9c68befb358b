#pragma once
// Offline check of repository folders: every blob against its own name, every snapshot against the
// listing of its commit (hf-cache rules, §2.2, §2.6). Content that is wrong is taken out of
// service: readers find a dangling link and download again (§2.4).
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/scan.h"

namespace homelab::cache {

/// A path of a revision.
struct EntryName {
  CommitHash commit;
  std::string path;  ///< bytes as on disk or as listed
  friend bool operator==(EntryName const&, EntryName const&) = default;
};

struct VerifyFinding {
  enum class Kind {
    kWrongContent,   ///< does not have the hash of its name
    kUnreadable,     ///< permission or disk error: nobody knows what it holds
    kChanged,        ///< vanished or was written to while it was read; to be checked again
    kDangling,       ///< a snapshot's link whose content is missing
    kWrongLink,      ///< a snapshot's link to another blob than its commit lists
    kBadListing,     ///< trees/<commit>.json is damaged or contradicts content that is right
    kUncheckable,    ///< nothing says what it must be: its name is no hash, it leads elsewhere
    kNotDownloaded,  ///< listed by the commit, not asked for so far
  };
  Kind kind = Kind::kWrongContent;
  Path path;
  std::string blob;  ///< its name in blobs/, as far as known
  std::uint64_t size_bytes = 0;
  std::vector<EntryName> entries;   ///< snapshot paths that need it
  std::string what;                 ///< one sentence for people
  bool out_of_service = false;      ///< wrong content that no reader gets any more
  std::optional<Path> quarantined;  ///< where it is now; without: a link into the shared store
};
/// "wrong_content", "not_downloaded", ...
[[nodiscard]] std::string_view to_string(VerifyFinding::Kind kind);
/// True while a reader would get something wrong or nothing. Wrong content in quarantine that no
/// snapshot needs is not bad any more; what cannot be checked or was never fetched is not bad.
[[nodiscard]] bool is_bad(VerifyFinding const& finding);

/// What was found in one repository folder.
struct VerifiedRepo {
  RepoType type = RepoType::kModel;
  std::string id;
  Path folder;
  std::size_t checked_files = 0;  ///< read and hashed now
  std::uint64_t checked_bytes = 0;
  std::size_t remembered_files = 0;  ///< unchanged since an earlier check
  std::uint64_t remembered_bytes = 0;
  std::vector<VerifyFinding> findings;  ///< bad ones first
};

struct VerifyReport {
  std::vector<VerifiedRepo> repos;  ///< in the order of the request, those that exist
  bool cancelled = false;           ///< what was checked until then is remembered
};

struct VerifyProgress {
  std::uint64_t total_bytes = 0;
  std::uint64_t done_bytes = 0;  ///< read, or known from an earlier check
  std::uint64_t read_bytes = 0;
  std::size_t total_files = 0;
  std::size_t done_files = 0;
};

struct VerifyOptions {
  bool all_again = false;  ///< reads also what is remembered as good
  bool quarantine = true;  ///< false: only report
  unsigned threads = 0;    ///< that read and hash, each a file at a time; 0 = processors
  std::function<void(VerifyProgress const&)> on_progress;  ///< on the calling thread, ~10 a second
  std::function<bool()> cancelled;                         ///< asked from several threads
};

/// Blocks until everything is checked. What is good is remembered in
/// <hub>/.locks/.homelab-llm/verified/<repo folder> by size, times and inode; a damaged record is
/// worth nothing. Wrong blobs go, under the etag lock, to
/// <hub>/.locks/.homelab-llm/quarantine/<repo folder>/<name>.<8 hex>; where somebody holds the lock
/// they stay and the finding says so. A link to a wrong payload of the shared store is removed, the
/// payload is left alone (§10.11). Folders that do not exist any more are left out of the report.
/// Errors: another folder of `repo_folders` cannot be scanned at all. Thread-safe, also between
/// processes.
[[nodiscard]] Result<VerifyReport> verify_repos(std::span<Path const> repo_folders,
                                                VerifyOptions const& options);

/// Files in quarantine that once were blob `name` of the repository folder.
[[nodiscard]] Result<std::vector<Path>> quarantined_files(Path const& repo_folder,
                                                          BlobName const& name);
/// Deletes them and gives their bytes on the disk. To be called when the right content is in place:
/// kFailedPrecondition when blobs/<name> does not exist.
[[nodiscard]] Result<std::uint64_t> discard_quarantined(Path const& repo_folder,
                                                        BlobName const& name);

}  // namespace homelab::cache
