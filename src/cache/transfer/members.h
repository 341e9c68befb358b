#pragma once
// Names of an archive's members, relative to the hub folder (hf-cache rules, §2). Private to the
// cache module.
#include <string>

#include "cache/archive_manifest.h"

namespace homelab::cache {

[[nodiscard]] std::string blob_member(ArchiveRepo const& repo, BlobName const& blob);
[[nodiscard]] std::string link_member(ArchiveRepo const& repo, CommitHash const& commit,
                                      RepoPath const& path);
[[nodiscard]] std::string listing_member(ArchiveRepo const& repo, CommitHash const& commit);
[[nodiscard]] std::string absent_member(ArchiveRepo const& repo, CommitHash const& commit,
                                        RepoPath const& path);
[[nodiscard]] std::string ref_member(ArchiveRepo const& repo, Revision const& ref);

/// Text of the link at `path` of a snapshot.
[[nodiscard]] std::string link_text_of(RepoPath const& path, BlobName const& blob);

}  // namespace homelab::cache
