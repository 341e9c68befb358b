#pragma once
// JSON bodies in the Hub's form (hub protocol, §4.4), made from a file listing.
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "cache/hub_folder.h"

namespace homelab::mirror {

/// What every entry of an expanded listing says about its last commit.
struct LastCommit {
  std::string id;
  std::string date;  ///< "2025-11-16T17:43:12.445Z"
};

/// A tree entry for one file. Xet hashes are left out.
[[nodiscard]] json::object file_entry(cache::TreeFile const& file,
                                      std::optional<LastCommit> const& last);

/// Entries of a folder (empty: the root), files and sub-folders, sorted by path. Empty array: no
/// such folder.
[[nodiscard]] json::array folder_entries(cache::Tree const& tree, std::string_view folder,
                                         bool recursive, std::optional<LastCommit> const& last);

/// The entry of a folder that has files in the listing; nullopt when there is none.
[[nodiscard]] std::optional<json::object> folder_entry(cache::Tree const& tree,
                                                       std::string_view folder,
                                                       std::optional<LastCommit> const& last);

/// "siblings" of a repository's information.
[[nodiscard]] json::array siblings(cache::Tree const& tree, bool blobs);

/// What the listing would say about a file of which only the blob is known. An LFS file's git id is
/// that of its pointer.
[[nodiscard]] cache::TreeFile file_of_blob(cache::RepoPath path, std::uint64_t size_bytes,
                                           cache::BlobName const& blob);

/// "{_id, id, modelId, private, ...}": what information and search results have in common.
[[nodiscard]] json::object repo_header(cache::RepoId const& repo);

}  // namespace homelab::mirror
