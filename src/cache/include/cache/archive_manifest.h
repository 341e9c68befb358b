#pragma once
// What a cache archive holds: its first member, a JSON text. Names are those of the hub folder's
// layout (hf-cache rules, §2), so the archive's other members follow from it.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/names.h"
#include "cache/scan.h"

namespace homelab::cache {

/// Where the manifest stands in the archive, relative to the hub folder: extracted by hand, it
/// lands where no scanner looks.
inline constexpr std::string_view kArchiveManifestPath = ".locks/.homelab-llm/archive.json";
/// Longer manifests are not read.
inline constexpr std::size_t kMaxArchiveManifestBytes = 64UL * 1024 * 1024;
/// Blobs, files, absences, listings and refs together.
inline constexpr std::size_t kMaxArchiveMembers = 500'000;
/// One listing, and all of them together.
inline constexpr std::uint64_t kMaxArchiveListingBytes = 64UL * 1024 * 1024;
inline constexpr std::uint64_t kMaxArchiveListingsBytes = 256UL * 1024 * 1024;

struct ArchiveBlob {
  BlobName name;
  std::uint64_t size_bytes = 0;
  std::string sha256;  ///< of the content; the name itself for LFS files
  friend bool operator==(ArchiveBlob const&, ArchiveBlob const&) = default;
};

struct ArchiveFile {
  RepoPath path;
  BlobName blob;
  friend bool operator==(ArchiveFile const&, ArchiveFile const&) = default;
};

/// trees/<commit>.json
struct ArchiveListing {
  std::uint64_t size_bytes = 0;
  std::string sha256;
  friend bool operator==(ArchiveListing const&, ArchiveListing const&) = default;
};

struct ArchiveRevision {
  CommitHash commit;
  std::vector<ArchiveFile> files;  ///< sorted by path, at least one
  std::optional<ArchiveListing> listing;
  std::vector<RepoPath> absent;  ///< .no_exist/<commit>/..., sorted
  friend bool operator==(ArchiveRevision const&, ArchiveRevision const&) = default;
};

struct ArchiveRef {
  Revision name;
  CommitHash commit;  ///< of one of the revisions
  friend bool operator==(ArchiveRef const&, ArchiveRef const&) = default;
};

struct ArchiveRepo {
  RepoType type = RepoType::kModel;
  RepoId id;
  std::vector<ArchiveBlob> blobs;                 ///< sorted by name, each used by a file
  std::vector<ArchiveRevision> revisions;         ///< sorted by commit, at least one
  std::vector<ArchiveRef> refs;                   ///< sorted by name
  [[nodiscard]] std::string folder_name() const;  ///< "datasets--org--name"
  friend bool operator==(ArchiveRepo const&, ArchiveRepo const&) = default;
};

struct ArchiveManifest {
  std::vector<ArchiveRepo> repos;  ///< sorted by folder name, at least one
  /// Content of all blobs, once per repository that has it.
  [[nodiscard]] std::uint64_t content_bytes() const;
  friend bool operator==(ArchiveManifest const&, ArchiveManifest const&) = default;
};

/// Compact ASCII JSON; the same manifest gives the same text.
[[nodiscard]] std::string to_archive_json(ArchiveManifest const& manifest);

/// kDataLoss for anything malformed, contradictory or beyond the bounds above, also for two names
/// of which one would have to be a folder of the other; kUnimplemented for a newer format_version.
[[nodiscard]] Result<ArchiveManifest> parse_archive_json(std::string_view text);

}  // namespace homelab::cache
