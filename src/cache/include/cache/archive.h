#pragma once
// Repositories as one tar file, for machines without a network: out of one hub folder, into
// another. The archive is a plain tar; extracted by hand inside a hub folder it is a working cache.
//
// Members, in this order: the manifest (archive_manifest.h); then of each repository its blobs, the
// links of its snapshots, listings, absences, and last the refs (hf-cache rules, §2, §10).
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/archive_manifest.h"
#include "cache/hub_folder.h"

namespace homelab::cache {

/// What long work asks and tells; called on the caller's thread.
struct TransferControl {
  std::function<bool()> cancelled = [] { return false; };
  std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)> on_progress =
      [](std::uint64_t, std::uint64_t) {};
};

// --- export ------------------------------------------------------------------------------------

struct ExportItem {
  Path hub_folder;
  RepoType type = RepoType::kModel;
  RepoId id;
  std::optional<std::string> revision;  ///< ref or commit; without: every revision
};

struct ExportPlan {
  ArchiveManifest manifest;
  std::vector<Path> hub_folders;      ///< of each repository of the manifest
  std::uint64_t archive_bytes = 0;    ///< exact size of the file
  std::vector<std::string> left_out;  ///< missing files and the like, one sentence each
};

/// Reads the repositories, and the content of those blobs whose names are no SHA-256. kNotFound: no
/// such repository or revision; kFailedPrecondition: something in it is not as the Hub's client
/// writes it (files placed by hand, links that lead out, names that are no hashes); kDataLoss: a
/// blob is damaged; kCancelled.
[[nodiscard]] Result<ExportPlan> plan_export(std::span<ExportItem const> items,
                                             TransferControl const& control = {});

/// Writes the archive to an open file or pipe. Every byte of content is hashed on its way:
/// kDataLoss names a damaged blob, kAborted tells that the repository changed; what was written is
/// cut off then, and no import takes it.
[[nodiscard]] Status export_to_pipe(ExportPlan const& plan, int pipe,
                                    TransferControl const& control = {});

/// The same under the name `file`, completely or not at all: private name beside it
/// (<file>.homelab.part, used again after a crash), fsync, rename. An older file of that name is
/// replaced. kResourceExhausted before the first byte when it does not fit; kFailedPrecondition
/// when `file` is no regular file; kAborted when another export writes the same file.
[[nodiscard]] Status export_to_file(ExportPlan const& plan, Path const& file,
                                    TransferControl const& control = {});

// --- import ------------------------------------------------------------------------------------

struct ImportRequest {
  Path hub_folder;         ///< made when missing
  int archive = -1;        ///< open for reading, at its beginning; stays open
  std::string shown;       ///< its name, for messages
  bool move_refs = false;  ///< refs that name another commit here are moved
  bool dry_run = false;    ///< only the manifest is read
  /// Asked after the manifest was read, before the first byte is written: may refuse (quota).
  std::function<Status(std::uint64_t needed_bytes)> may_write = [](std::uint64_t) {
    return Status();
  };
};

struct ImportedRef {
  Revision name;
  CommitHash commit;
  std::optional<CommitHash> before;  ///< where it stood, when that was another commit
};

struct ImportedRepo {
  RepoType type = RepoType::kModel;
  RepoId id;
  std::vector<CommitHash> commits;
  std::vector<ImportedRef> refs;    ///< with `before` set only those that move
  std::size_t files = 0;            ///< of all revisions
  std::uint64_t content_bytes = 0;  ///< of all blobs
  std::uint64_t present_bytes = 0;  ///< of blobs that were here already
  std::uint64_t resumed_bytes = 0;  ///< that an earlier, interrupted run had written
  std::uint64_t written_bytes = 0;  ///< by this run; with `dry_run`: that it would write
};

struct ImportReport {
  std::vector<ImportedRepo> repos;
};

/// Reads the archive once, from its beginning to its end. Content is hashed while it is written and
/// gets its name only when it is right; links, listings and refs appear after the whole archive was
/// read and found right, repository by repository, refs last. Ended at any point, the same call
/// continues: complete blobs are not written again, the one that was being written is continued.
///
/// kDataLoss: the archive is cut off, damaged, or holds anything that its manifest does not
/// announce; names the member. kFailedPrecondition: refs name other commits here and `move_refs` is
/// false (nothing was written). kResourceExhausted: no space, said before the first byte.
/// kCancelled. kUnimplemented: made by a newer program.
[[nodiscard]] Result<ImportReport> import_archive(ImportRequest const& request,
                                                  TransferControl const& control = {});

}  // namespace homelab::cache
