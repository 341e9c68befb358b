#include "mirror/mirror.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/strings.h"
#include "base/time.h"
#include "listing.h"

namespace homelab::mirror {
namespace {

using cache::BlobName;
using cache::CommitHash;
using cache::Path;
using cache::RepoFolder;
using cache::RepoId;
using cache::RepoPath;
using cache::Revision;
using cache::Tree;

constexpr std::size_t kMaxListed = 1000;
constexpr std::size_t kMaxRevisionSegments = 8;
constexpr std::string_view kPullRequests = "refs/pr/";
constexpr std::string_view kConverts = "refs/convert/";

tl::unexpected<Refusal> refuse(Reason reason, std::string message,
                               std::optional<CommitHash> commit = std::nullopt) {
  // The message becomes a header line.
  std::ranges::replace_if(
      message, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return tl::unexpected<Refusal>(Refusal{reason, std::move(message), std::move(commit)});
}

tl::unexpected<Refusal> not_complete(RepoId const& repo, CommitHash const& commit,
                                     std::string_view what) {
  return refuse(Reason::kNotComplete,
                fmt::format("{} of {} at {} is not completely in this cache", what, repo.text(),
                            commit.text()),
                commit);
}

tl::unexpected<Refusal> no_entry(RepoId const& repo, CommitHash const& commit,
                                 std::string_view path) {
  return refuse(Reason::kEntryNotFound,
                fmt::format("{} does not exist in {} at {}", path, repo.text(), commit.text()),
                commit);
}

/// The folders of a repository that exist; kRepoNotFound when none does.
Answer<std::vector<RepoFolder>> folders_of(std::vector<Path> const& hub_folders,
                                           RepoId const& repo) {
  std::vector<RepoFolder> out;
  for (auto const& hub : hub_folders) {
    RepoFolder folder(hub, repo);
    std::error_code error;
    if (std::filesystem::is_directory(folder.path(), error)) out.push_back(std::move(folder));
  }
  if (out.empty())
    return refuse(Reason::kRepoNotFound,
                  fmt::format("repository {} is not in this cache", repo.text()));
  return out;
}

bool knows_commit(RepoFolder const& folder, CommitHash const& commit) {
  std::error_code error;
  if (std::filesystem::is_directory(folder.snapshot_path(commit), error)) return true;
  if (std::filesystem::exists(folder.path() / "trees" / (commit.text() + ".json"), error))
    return true;
  auto const refs = folder.refs();
  return refs && std::ranges::any_of(*refs, [&](auto const& ref) { return ref.second == commit; });
}

Answer<CommitHash> commit_of(std::vector<RepoFolder> const& folders, RepoId const& repo,
                             Revision const& asked) {
  // "HEAD" is how some clients say "the default branch".
  Revision const revision = asked.text() == "HEAD" ? Revision::main() : asked;
  std::optional<Error> broken;
  for (auto const& folder : folders) {
    auto const commit = folder.read_ref(revision);
    if (commit && (!revision.is_commit() || knows_commit(folder, *commit))) return *commit;
    if (!commit && commit.error().code != Code::kNotFound) broken = commit.error();
  }
  if (broken) return refuse(Reason::kBroken, broken->message);
  return refuse(Reason::kRevisionNotFound,
                fmt::format("revision {} of {} is not in this cache", asked.text(), repo.text()));
}

/// A stored listing of the commit. An unreadable one counts as none: the files may be good all the
/// same.
std::optional<Tree> tree_of(std::vector<RepoFolder> const& folders, CommitHash const& commit) {
  for (auto const& folder : folders) {
    auto tree = folder.read_tree(commit);
    if (tree && *tree) return *std::move(tree);
  }
  return std::nullopt;
}

/// When this cache got the commit; the true date is not stored.
std::string date_of(std::vector<RepoFolder> const& folders, CommitHash const& commit) {
  for (auto const& folder : folders) {
    auto const found = os::stat_target(folder.snapshot_path(commit));
    if (!found) continue;
    auto const since = std::chrono::seconds(found->st_mtim.tv_sec) +
                       std::chrono::nanoseconds(found->st_mtim.tv_nsec);
    return to_iso_utc(UtcTime(std::chrono::duration_cast<std::chrono::microseconds>(since)));
  }
  return to_iso_utc(UtcTime());
}

/// A repository at one commit, with all that is known about it.
struct Located {
  std::vector<RepoFolder> folders;
  CommitHash commit;
  std::optional<Tree> tree;

  [[nodiscard]] std::optional<LastCommit> last_commit(bool wanted) const {
    if (!wanted) return std::nullopt;
    return LastCommit{commit.text(), date_of(folders, commit)};
  }
};

Answer<Located> locate(std::vector<Path> const& hub_folders, RepoId const& repo,
                       Revision const& revision) {
  auto folders = folders_of(hub_folders, repo);
  if (!folders) return tl::unexpected(folders.error());
  auto commit = commit_of(*folders, repo, revision);
  if (!commit) return tl::unexpected(commit.error());
  auto tree = tree_of(*folders, *commit);
  return Located{std::move(*folders), std::move(*commit), std::move(tree)};
}

/// Opens an entry in the first folder where it is what the listing says (if there is a listing).
std::optional<ResolvedFile> open_in(Located const& at, RepoPath const& path,
                                    cache::TreeFile const* listed) {
  for (auto const& folder : at.folders) {
    auto entry = folder.open_entry(at.commit, path);
    if (!entry) continue;
    std::optional<BlobName> etag = entry->blob;
    if (listed) {
      auto const name = listed->blob_name();
      bool const right =
          name && entry->size_bytes == listed->size_bytes && (!etag || *etag == *name);
      if (!right) continue;
      etag = *name;
    }
    // A plain file without a listing has no name by which clients could store it.
    if (!etag) continue;
    return ResolvedFile{std::move(entry->file), entry->size_bytes, std::move(*etag), at.commit};
  }
  return std::nullopt;
}

/// The listing's file, or what can be said about it from the disk when there is no listing.
std::optional<cache::TreeFile> describe(Located const& at, RepoPath const& path) {
  if (at.tree) {
    auto const* listed = at.tree->find(path.text());
    return listed ? std::optional(*listed) : std::nullopt;
  }
  auto const file = open_in(at, path, nullptr);
  if (!file) return std::nullopt;
  return file_of_blob(path, file->size_bytes, file->etag);
}

json::object ref_object(std::string_view name, std::string_view ref, CommitHash const& commit) {
  return {{"name", name}, {"ref", ref}, {"targetCommit", commit.text()}};
}

/// refs/2f22765 is a note of some client about an abbreviated commit, not a branch.
bool is_abbreviation(std::string const& name, CommitHash const& commit) {
  return name.size() >= 4 && commit.text().starts_with(name);
}

}  // namespace

int Refusal::http_status() const {
  switch (reason) {
    case Reason::kRepoNotFound:
    case Reason::kRevisionNotFound:
    case Reason::kEntryNotFound:
      return 404;
    case Reason::kNotComplete:
      return 503;
    case Reason::kBroken:
      return 500;
  }
  return 500;
}

std::string_view Refusal::hub_code() const {
  switch (reason) {
    case Reason::kRepoNotFound:
      return "RepoNotFound";
    case Reason::kRevisionNotFound:
      return "RevisionNotFound";
    case Reason::kEntryNotFound:
      return "EntryNotFound";
    case Reason::kNotComplete:
    case Reason::kBroken:
      return {};
  }
  return {};
}

Mirror::Mirror(std::vector<cache::Path> hub_folders) : hub_folders_(std::move(hub_folders)) {}

Answer<Document> Mirror::repo_info(RepoId const& repo, Revision const& revision, bool blobs) const {
  auto const at = locate(hub_folders_, repo, revision);
  if (!at) return tl::unexpected(at.error());
  if (!at->tree) return not_complete(repo, at->commit, "the list of files");
  json::object body = repo_header(repo);
  auto const date = date_of(at->folders, at->commit);
  body["sha"] = at->commit.text();
  body["lastModified"] = date;
  body["createdAt"] = date;
  body["siblings"] = siblings(*at->tree, blobs);
  return Document{at->commit, std::move(body)};
}

Answer<Document> Mirror::tree(RepoId const& repo, Revision const& revision,
                              TreeQuery const& query) const {
  auto const at = locate(hub_folders_, repo, revision);
  if (!at) return tl::unexpected(at.error());
  if (!at->tree) return not_complete(repo, at->commit, "the list of files");
  auto entries =
      folder_entries(*at->tree, query.folder, query.recursive, at->last_commit(query.expand));
  if (entries.empty() && !query.folder.empty()) return no_entry(repo, at->commit, query.folder);
  return Document{at->commit, std::move(entries)};
}

Answer<Document> Mirror::paths_info(RepoId const& repo, Revision const& revision,
                                    std::span<std::string const> paths, bool expand) const {
  auto const at = locate(hub_folders_, repo, revision);
  if (!at) return tl::unexpected(at.error());
  auto const last = at->last_commit(expand);
  json::array out;
  for (auto const& text : paths) {
    // What is no valid path cannot exist in a repository.
    auto const path = RepoPath::parse(text);
    if (!path) continue;
    if (auto const file = describe(*at, *path)) {
      out.push_back(file_entry(*file, last));
    } else if (at->tree) {
      if (auto folder = folder_entry(*at->tree, path->text(), last))
        out.push_back(std::move(*folder));
    } else if (std::ranges::none_of(at->folders, [&](auto const& f) {
                 return f.is_marked_absent(at->commit, *path);
               })) {
      return not_complete(repo, at->commit, path->text());
    }
  }
  return Document{at->commit, std::move(out)};
}

Answer<json::value> Mirror::refs(RepoId const& repo, bool include_pull_requests) const {
  auto const folders = folders_of(hub_folders_, repo);
  if (!folders) return tl::unexpected(folders.error());
  std::map<std::string, CommitHash> all;
  for (auto const& folder : *folders) {
    auto found = folder.refs();
    if (!found) return refuse(Reason::kBroken, found.error().message);
    all.merge(*found);
  }
  json::array branches;
  json::array converts;
  json::array pull_requests;
  for (auto const& [name, commit] : all) {
    if (name.starts_with(kPullRequests)) {
      pull_requests.push_back(ref_object(name.substr(kPullRequests.size()), name, commit));
    } else if (name.starts_with(kConverts)) {
      converts.push_back(ref_object(name.substr(kConverts.size()), name, commit));
    } else if (!is_abbreviation(name, commit)) {
      branches.push_back(ref_object(name, "refs/heads/" + name, commit));
    }
  }
  json::object body = {{"branches", branches}, {"converts", converts}, {"tags", json::array()}};
  if (include_pull_requests) body["pullRequests"] = pull_requests;
  return json::value(std::move(body));
}

Answer<json::value> Mirror::list(std::string_view search, std::size_t limit) const {
  std::string const wanted = to_lower(search);
  std::set<RepoId> repos;
  for (auto const& hub : hub_folders_) {
    auto const found = cache::list_repos(hub);
    if (!found) return refuse(Reason::kBroken, found.error().message);
    for (auto const& repo : *found) {
      if (to_lower(repo.text()).find(wanted) == std::string::npos) continue;
      auto const commits = RepoFolder(hub, repo).commits();
      if (commits && !commits->empty()) repos.insert(repo);
    }
  }
  json::array out;
  for (auto const& repo : repos) {
    if (out.size() >= std::min(limit, kMaxListed)) break;
    out.push_back(repo_header(repo));
  }
  return json::value(std::move(out));
}

Answer<ResolvedFile> Mirror::resolve(RepoId const& repo, Revision const& revision,
                                     RepoPath const& path) const {
  auto const at = locate(hub_folders_, repo, revision);
  if (!at) return tl::unexpected(at.error());
  auto const* listed = at->tree ? at->tree->find(path.text()) : nullptr;
  if (at->tree && !listed) return no_entry(repo, at->commit, path.text());
  if (auto file = open_in(*at, path, listed)) return std::move(*file);
  bool const absent = !listed && std::ranges::any_of(at->folders, [&](auto const& folder) {
    return folder.is_marked_absent(at->commit, path);
  });
  if (absent) return no_entry(repo, at->commit, path.text());
  return not_complete(repo, at->commit, path.text());
}

Answer<RevisionAndPath> Mirror::split_revision(RepoId const& repo,
                                               std::span<std::string const> segments) const {
  auto const join = [](std::span<std::string const> parts) {
    std::string out;
    for (auto const& part : parts) {
      if (!out.empty()) out += '/';
      out += part;
    }
    return out;
  };
  auto const take = [&](std::size_t count) -> Answer<RevisionAndPath> {
    auto revision = Revision::parse(join(segments.first(count)));
    if (!revision) return refuse(Reason::kRevisionNotFound, revision.error().message);
    return RevisionAndPath{std::move(*revision), join(segments.subspan(count))};
  };
  if (segments.empty()) return refuse(Reason::kRevisionNotFound, "the address names no revision");
  std::size_t const most = std::min(segments.size(), kMaxRevisionSegments);
  if (most > 1 && !CommitHash::parse(segments[0])) {
    auto const folders = folders_of(hub_folders_, repo);
    for (std::size_t count = most; folders && count > 1; --count) {
      auto const revision = Revision::parse(join(segments.first(count)));
      if (revision && commit_of(*folders, repo, *revision)) return take(count);
    }
    // Not here, but by its form one name: the answer must be "no such revision", not "no such
    // branch refs".
    bool const special = segments[0] == "refs" && (segments[1] == "pr" || segments[1] == "convert");
    if (special && segments.size() >= 3) return take(3);
  }
  return take(1);
}

}  // namespace homelab::mirror
