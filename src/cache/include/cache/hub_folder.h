#pragma once
// One hub folder (the Python client's cache_dir / HF_HUB_CACHE): finding repositories, refs,
// snapshots and trees. Reads trust nothing that was remembered: every call looks at the disk.
// Thread-safe.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/os/file.h"
#include "base/result.h"
#include "cache/names.h"

namespace homelab::cache {

using Path = std::filesystem::path;

/// One file of a commit as the Hub lists it (trees/<commit>.json, hf-cache rules §2.6).
struct TreeFile {
  RepoPath path;
  std::uint64_t size_bytes = 0;
  std::string git_oid;  ///< 40 hex; of the pointer for LFS files
  std::optional<std::string> lfs_sha256;
  std::optional<std::string> xet_hash;
  /// sha256 for LFS files, else git_oid: the blob's name and the hash that its content must have.
  [[nodiscard]] Result<BlobName> blob_name() const;
  friend bool operator==(TreeFile const&, TreeFile const&) = default;
};

/// All files of one commit, sorted by path.
struct Tree {
  std::vector<TreeFile> files;
  [[nodiscard]] TreeFile const* find(std::string_view path) const;
};
/// Text of trees/<commit>.json, byte for byte as the Python client writes it (indent 1, ASCII,
/// sorted, no final newline).
[[nodiscard]] std::string to_tree_json(Tree const& tree);
/// nullopt for an unknown format_version; kDataLoss for anything malformed.
[[nodiscard]] Result<std::optional<Tree>> parse_tree_json(std::string_view text);

/// A file of a snapshot as it is on disk.
struct SnapshotFile {
  RepoPath path;
  Path location;                 ///< inside snapshots/<commit>/
  std::uint64_t size_bytes = 0;  ///< of the content behind the link(s)
  bool is_link = false;          ///< false: a regular file stands there (no-symlink caches)
  std::optional<BlobName> blob;  ///< first hop's name, when it is a link into blobs/
};

struct SnapshotView {
  CommitHash commit;
  Path folder;
  std::vector<SnapshotFile> files;  ///< readable files, sorted by path
  std::vector<RepoPath> dangling;   ///< links whose content is missing
  [[nodiscard]] SnapshotFile const* find(std::string_view path) const;
};

/// Content of one snapshot entry, open for reading; outlives the file's removal.
struct OpenEntry {
  os::UniqueFd file;
  std::uint64_t size_bytes = 0;
  std::optional<BlobName> blob;  ///< as in SnapshotFile; nullopt for a regular file
};

enum class RepoType;  // scan.h

/// The folder of one repository: <hub>/models--org--name. Need not exist.
class RepoFolder {
 public:
  RepoFolder(Path hub_folder, RepoId id);
  /// Of a repository of another type: <hub>/datasets--org--name.
  RepoFolder(Path hub_folder, RepoId id, RepoType type);
  [[nodiscard]] RepoId const& id() const { return id_; }
  [[nodiscard]] std::string const& name() const { return name_; }  ///< "models--org--name"
  [[nodiscard]] Path path() const;
  [[nodiscard]] Path blob_path(BlobName const& name) const;
  [[nodiscard]] Path snapshot_path(CommitHash const& commit) const;
  [[nodiscard]] Path lock_path(
      BlobName const& name) const;  ///< <hub>/.locks/<repo folder>/<name>.lock

  /// Content of refs/<revision>, white space stripped. kNotFound if absent, kDataLoss if it is no
  /// commit. A revision that is a full commit gives itself, without looking.
  [[nodiscard]] Result<CommitHash> read_ref(Revision const& revision) const;
  /// Every ref below refs/ that holds a commit.
  [[nodiscard]] Result<std::map<std::string, CommitHash>> refs() const;
  /// Commits that have a snapshot folder.
  [[nodiscard]] Result<std::vector<CommitHash>> commits() const;
  /// kNotFound when there is no such snapshot folder.
  [[nodiscard]] Result<SnapshotView> snapshot(CommitHash const& commit) const;
  /// Opens one entry without reading the whole snapshot, for handing its content to others: only a
  /// regular file of the snapshot, or a link to blobs/<name> of this repository (itself a file, or
  /// a link into the shared store of the hub folder, hf-cache rules §6). kNotFound: nothing there
  /// or dangling; kFailedPrecondition: it leads anywhere else.
  [[nodiscard]] Result<OpenEntry> open_entry(CommitHash const& commit, RepoPath const& path) const;
  /// True if .no_exist/<commit>/<path> says that the Hub has no such file.
  [[nodiscard]] bool is_marked_absent(CommitHash const& commit, RepoPath const& path) const;
  /// nullopt: none stored, or of an unknown version.
  [[nodiscard]] Result<std::optional<Tree>> read_tree(CommitHash const& commit) const;

 private:
  Path hub_folder_;
  RepoId id_;
  std::string name_;
};

/// Ids of all model repositories that have a folder in the hub folder, sorted; other entries are
/// left alone.
[[nodiscard]] Result<std::vector<RepoId>> list_repos(Path const& hub_folder);

/// Bytes of all blobs of a repository, each counted once (not through snapshot links).
[[nodiscard]] Result<std::uint64_t> repo_size_bytes(RepoFolder const& repo);

}  // namespace homelab::cache
