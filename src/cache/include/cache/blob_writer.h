#pragma once
// Writing into a repository folder so that nothing half-done is ever visible (hf-cache rules, §10;
// design §2).
//
// Order of effects for a snapshot: blobs (each: partial -> hash -> fdatasync -> rename -> fsync
// blobs/) -> links -> tree -> ref. A crash between any two steps leaves the older state or an
// unreferenced blob, never a link to a missing or wrong blob.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/os/file_lock.h"
#include "base/result.h"
#include "cache/hub_folder.h"
#include "cache/names.h"

namespace homelab::cache {

/// A file being downloaded: blobs/<name>.homelab.part, exclusively flocked while it is open.
/// Scanners and clean-up of other programs ignore it. It survives `kill -9`: its length is what was
/// written, and reopening hashes those bytes again, so nothing but the disk is trusted. The hash
/// check at the end finds what a power cut may have lost.
///
/// One thread at a time. Bytes must be appended in order; they are hashed as they come.
class PartialBlob {
 public:
  PartialBlob(PartialBlob&&) noexcept;
  PartialBlob& operator=(PartialBlob&&) noexcept;
  ~PartialBlob();  ///< closes and keeps the partial for a later resume

  [[nodiscard]] BlobName const& name() const;
  [[nodiscard]] std::uint64_t expected_bytes() const;
  /// Bytes that are on disk and hashed; a resumed download asks for the rest from here.
  [[nodiscard]] std::uint64_t written_bytes() const;
  /// Appends; kResourceExhausted when the disk is full, kDataLoss when more comes than expected.
  [[nodiscard]] Status append(std::span<std::byte const> bytes);
  /// Throws away everything written (content changed at the source, hash was wrong).
  [[nodiscard]] Status restart();

 private:
  friend class RepoWriter;
  struct State;
  explicit PartialBlob(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The one writer of a repository folder. Cheap to make; thread-safe for different blobs.
class RepoWriter {
 public:
  /// Makes `.locks/<repo>`, `blobs/` and CACHEDIR.TAG (hf-cache rules §2) when missing.
  [[nodiscard]] static Result<RepoWriter> open(Path hub_folder, RepoId id);
  /// Likewise, of a repository of any type; `folder` stands in `hub_folder`.
  [[nodiscard]] static Result<RepoWriter> open_repo(Path hub_folder, RepoFolder folder);

  [[nodiscard]] RepoFolder const& folder() const { return folder_; }

  /// True if blobs/<name> is a readable regular file (after at most two hops) of exactly
  /// `size_bytes`.
  [[nodiscard]] bool has_blob(BlobName const& name, std::uint64_t size_bytes) const;

  /// Takes the etag lock, waiting while `give_up()` is false; kCancelled then.
  [[nodiscard]] Result<os::FileLock> lock(BlobName const& name,
                                          std::function<bool()> const& give_up) const;

  /// Opens or continues the partial of a blob; call with the etag lock held. A partial longer than
  /// `size_bytes` starts over. Reserves the space: kResourceExhausted before the first byte.
  /// kAborted: another process has it open (it took no etag lock, or the lock file is on a file
  /// system without flock).
  [[nodiscard]] Result<PartialBlob> open_partial(BlobName const& name,
                                                 std::uint64_t size_bytes) const;

  /// Bytes on the disk that the partial of a blob occupies or has reserved; 0 when there is none.
  [[nodiscard]] std::uint64_t partial_disk_bytes(BlobName const& name) const;

  /// Checks length and hash against the name (sha256 or git blob id), syncs, renames to
  /// blobs/<name>. kDataLoss on a wrong hash: the partial is removed, nothing became visible; fetch
  /// again from zero. kDataLoss also when bytes are missing: then the partial stays for a resume. A
  /// blob of the right size that is already there is kept (somebody else was faster); one of
  /// another size is replaced, never truncated. A blob of right size and wrong content must be
  /// removed before it can be replaced. `sync_folder_now` false: the caller promises sync_blobs()
  /// before links (many small files share one fsync).
  [[nodiscard]] Status commit(PartialBlob&& partial, bool sync_folder_now = true) const;

  /// A small file in one go, content already in memory: same checks and order as open_partial +
  /// append + commit.
  [[nodiscard]] Status put_blob(BlobName const& name, std::span<std::byte const> content,
                                bool sync_folder_now = true) const;

  /// Same durability as commit() for many small files at once, cheaper per file: all written, all
  /// synced, all renamed, one folder sync. Nothing of the batch is visible when an error is
  /// returned, except blobs already renamed (which are complete).
  struct SmallBlob {
    BlobName name;
    std::string content;
  };
  [[nodiscard]] Status put_blobs(std::span<SmallBlob const> batch) const;

  [[nodiscard]] Status sync_blobs() const;

  struct Link {
    RepoPath path;
    BlobName blob;
  };
  /// Makes snapshots/<commit>/<path> -> ../../blobs/<blob> for each, then syncs the folders once.
  /// An existing link that resolves to the blob stays; a dangling or wrong one is replaced; falls
  /// back to a regular file where the file system has no symlinks. Never follows a planted link out
  /// of the repository.
  [[nodiscard]] Status link_all(CommitHash const& commit, std::span<Link const> links) const;

  /// trees/<commit>.json; only from a complete recursive listing.
  [[nodiscard]] Status write_tree(CommitHash const& commit, Tree const& tree) const;

  /// refs/<revision> = commit, durable, skipped if equal or if the revision is a full commit. The
  /// last step.
  [[nodiscard]] Status write_ref(Revision const& revision, CommitHash const& commit) const;

  /// .no_exist/<commit>/<path>, an empty file.
  [[nodiscard]] Status mark_absent(CommitHash const& commit, RepoPath const& path) const;

 private:
  explicit RepoWriter(Path hub_folder, RepoFolder folder);
  Path hub_folder_;
  RepoFolder folder_;
};

}  // namespace homelab::cache
