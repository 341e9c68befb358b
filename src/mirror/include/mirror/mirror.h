#pragma once
// The cache as a Hugging Face Hub, read-only: the values behind the Hub's GET/HEAD answers (hub
// protocol, §1, §4, §7). The HTTP side (routes, ranges, headers) is the api module's; this module
// knows no HTTP library and no network.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/os/file.h"
#include "base/result.h"
#include "cache/hub_folder.h"
#include "cache/names.h"

namespace homelab::mirror {

/// Why the mirror does not answer, in the Hub's own vocabulary.
enum class Reason {
  kRepoNotFound,      ///< no folder of this repository in any hub folder
  kRevisionNotFound,  ///< the repository is here, this branch, tag or commit is not
  kEntryNotFound,     ///< known not to exist at `commit`; clients remember this
  kNotComplete,  ///< may exist, but is not (completely) in this cache: clients must not remember it
  kBroken,       ///< the cache cannot be read: permissions, malformed ref or tree
};

struct Refusal {
  Reason reason = Reason::kBroken;
  std::string message;  ///< one sentence, without line breaks; also X-Error-Message
  std::optional<cache::CommitHash> commit;  ///< X-Repo-Commit, when the revision could be resolved

  /// 404 for the three "not found", 503 for kNotComplete, 500 for kBroken.
  [[nodiscard]] int http_status() const;
  /// X-Error-Code: "RepoNotFound", "RevisionNotFound", "EntryNotFound"; empty = send no such
  /// header.
  [[nodiscard]] std::string_view hub_code() const;
};

template <class T>
using Answer = tl::expected<T, Refusal>;

/// A JSON body and the commit it speaks about (X-Repo-Commit).
struct Document {
  cache::CommitHash commit;
  json::value body;
};

/// Content of one file, open for reading. The descriptor stays valid when the file is deleted
/// meanwhile.
struct ResolvedFile {
  os::UniqueFd file;
  std::uint64_t size_bytes = 0;
  cache::BlobName etag;  ///< send as strong ETag, and as X-Linked-Etag when etag.is_sha256()
  cache::CommitHash commit;
};

/// A revision split from what follows it in a URL.
struct RevisionAndPath {
  cache::Revision revision;
  std::string path;  ///< '/'-separated, without leading '/', may be empty; not yet validated
};

/// Serves one or more hub folders; the first that can answer wins. Remembers nothing: every call
/// looks at the disk. Thread-safe. Never creates or changes a file. Xet hashes are never shown
/// (protocol §6: clients would have no fallback).
class Mirror {
 public:
  explicit Mirror(std::vector<cache::Path> hub_folders);

  /// GET /api/models/<id>[/revision/<rev>]; `blobs`: siblings also carry size, blobId and lfs.
  [[nodiscard]] Answer<Document> repo_info(cache::RepoId const& repo,
                                           cache::Revision const& revision,
                                           bool blobs = false) const;

  struct TreeQuery {
    std::string folder;  ///< inside the repository; empty = its root
    bool recursive = false;
    bool expand = false;  ///< adds lastCommit
  };
  /// GET /api/models/<id>/tree/<rev>[/<dir>]: everything in one page, sorted by path. Body: array
  /// of entries.
  [[nodiscard]] Answer<Document> tree(cache::RepoId const& repo, cache::Revision const& revision,
                                      TreeQuery const& query) const;

  /// POST /api/models/<id>/paths-info/<rev>: entries of the given files and folders that exist;
  /// others are left out. Answers from files on disk too when no listing is stored, if all of
  /// `paths` are there.
  [[nodiscard]] Answer<Document> paths_info(cache::RepoId const& repo,
                                            cache::Revision const& revision,
                                            std::span<std::string const> paths,
                                            bool expand = false) const;

  /// GET /api/models/<id>/refs: {"branches", "converts", "tags"[, "pullRequests"]}.
  [[nodiscard]] Answer<json::value> refs(cache::RepoId const& repo,
                                         bool include_pull_requests = false) const;

  /// GET /api/models?search=&limit=: repositories of which some revision is here.
  [[nodiscard]] Answer<json::value> list(std::string_view search, std::size_t limit) const;

  /// GET/HEAD /<id>/resolve/<rev>/<path>. Only content of the cache itself is opened: links that
  /// lead out of the hub folder are refused, a file whose size differs from the listing is
  /// kNotComplete.
  [[nodiscard]] Answer<ResolvedFile> resolve(cache::RepoId const& repo,
                                             cache::Revision const& revision,
                                             cache::RepoPath const& path) const;

  /// Splits decoded URL segments after "resolve/", "tree/", "revision/": the longest leading run
  /// that is a known ref
  /// ("refs/pr/1", "feat/nested"), else the first segment. A client that encodes the revision gives
  /// it as one segment. kRevisionNotFound when the segments hold no valid revision.
  [[nodiscard]] Answer<RevisionAndPath> split_revision(cache::RepoId const& repo,
                                                       std::span<std::string const> segments) const;

 private:
  std::vector<cache::Path> hub_folders_;
};

}  // namespace homelab::mirror
