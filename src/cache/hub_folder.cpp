#include "cache/hub_folder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/os/file.h"
#include "base/strings.h"
#include "cache/scan.h"
#include "folder_at.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxRefBytes = 4096;
constexpr std::size_t kMaxTreeBytes = 64UL * 1024 * 1024;
constexpr std::size_t kMaxEntries = 1'000'000;
constexpr int kMaxDepth = 64;

tl::unexpected<Error> too_many(Path const& folder) {
  return fail(Code::kResourceExhausted,
              fmt::format("{} holds more than {} entries or is nested too deeply", folder.string(),
                          kMaxEntries));
}

/// Calls `visit(entry, relative name)` for everything that is not a folder; folders are entered,
/// links never. A missing folder is empty.
template <class Visit>
Status walk(Path const& folder, Visit const& visit, std::string const& prefix, std::size_t& left,
            int depth) {
  std::error_code error;
  auto entries = fs::directory_iterator(folder, error);
  if (error == std::errc::no_such_file_or_directory) return {};
  if (error) return fail_errno("read folder", folder.string(), error.value());
  if (depth > kMaxDepth) return too_many(folder);
  while (entries != fs::directory_iterator()) {
    if (left-- == 0) return too_many(folder);
    auto const& entry = *entries;
    std::string const name = prefix + entry.path().filename().string();
    auto const status = entry.symlink_status(error);
    if (!error && fs::is_directory(status)) {
      RETURN_IF_ERROR(walk(entry.path(), visit, name + "/", left, depth + 1));
    } else if (!error) {
      visit(entry, name);
    }
    entries.increment(error);
    if (error) return fail_errno("read folder", folder.string(), error.value());
  }
  return {};
}

/// Of the folders in `folder`, what `parse` makes of their names; sorted. A missing one has none.
template <class Name>
Result<std::vector<Name>> folders_named(Path const& folder,
                                        Result<Name> (*parse)(std::string_view)) {
  std::vector<Name> out;
  std::error_code error;
  auto entries = fs::directory_iterator(folder, error);
  if (error == std::errc::no_such_file_or_directory) return out;
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    auto name = parse(entries->path().filename().string());
    std::error_code unreadable;
    if (name && entries->is_directory(unreadable)) out.push_back(std::move(*name));
    if (out.size() > kMaxEntries) return too_many(folder);
  }
  if (error) return fail_errno("read folder", folder.string(), error.value());
  std::ranges::sort(out);
  return out;
}

template <class Visit>
Status walk(Path const& folder, Visit const& visit) {
  std::size_t left = kMaxEntries;
  return walk(folder, visit, "", left, 0);
}

Result<CommitHash> read_commit(Path const& path) {
  ASSIGN_OR_RETURN(std::string const text, read_regular_file(path, kMaxRefBytes));
  auto commit = CommitHash::parse(trim(text));
  if (!commit) {
    return fail(Code::kDataLoss, fmt::format("{} does not hold a commit (40 hexadecimal digits); "
                                             "remove the file or download again",
                                             path.string()));
  }
  return commit;
}

/// The blob that a link names with its first hop, when that is lexically in `blobs`.
std::optional<BlobName> blob_of_link(Path const& link, Path const& blobs) {
  std::error_code error;
  Path target = fs::read_symlink(link, error);
  if (error) return std::nullopt;
  if (target.is_relative()) target = link.parent_path() / target;
  target = target.lexically_normal();
  if (target.parent_path() != blobs.lexically_normal()) return std::nullopt;
  auto name = BlobName::parse(target.filename().string());
  return name ? std::optional(std::move(*name)) : std::nullopt;
}

}  // namespace

SnapshotFile const* SnapshotView::find(std::string_view path) const {
  auto const at = std::ranges::lower_bound(
      files, path, {}, [](SnapshotFile const& file) { return std::string_view(file.path.text()); });
  return at != files.end() && at->path.text() == path ? &*at : nullptr;
}

RepoFolder::RepoFolder(Path hub_folder, RepoId id)
    : hub_folder_(std::move(hub_folder)), id_(std::move(id)), name_(id_.folder_name()) {}

RepoFolder::RepoFolder(Path hub_folder, RepoId id, RepoType type)
    : RepoFolder(std::move(hub_folder), std::move(id)) {
  name_.replace(0, name_.find("--"), std::string(to_string(type)) + "s");
}

Path RepoFolder::path() const { return hub_folder_ / name_; }

Path RepoFolder::blob_path(BlobName const& name) const { return path() / "blobs" / name.text(); }

Path RepoFolder::snapshot_path(CommitHash const& commit) const {
  return path() / "snapshots" / commit.text();
}

Path RepoFolder::lock_path(BlobName const& name) const {
  return hub_folder_ / ".locks" / name_ / (name.text() + ".lock");
}

Result<CommitHash> RepoFolder::read_ref(Revision const& revision) const {
  if (revision.is_commit()) return CommitHash::parse(revision.text());
  auto commit = read_commit(path() / "refs" / revision.text());
  if (!commit && commit.error().code == Code::kNotFound) {
    return fail(Code::kNotFound, fmt::format("revision {} of {} is not in the cache {}",
                                             revision.text(), id_.text(), hub_folder_.string()));
  }
  return commit;
}

Result<std::map<std::string, CommitHash>> RepoFolder::refs() const {
  std::map<std::string, CommitHash> out;
  auto const collect = [&](fs::directory_entry const& entry, std::string const& name) {
    // Leftover temporaries, editors' files and half-written refs are no refs.
    if (!Revision::parse(name)) return;
    if (auto commit = read_commit(entry.path())) out.emplace(name, std::move(*commit));
  };
  RETURN_IF_ERROR(walk(path() / "refs", collect));
  return out;
}

Result<std::vector<CommitHash>> RepoFolder::commits() const {
  return folders_named(path() / "snapshots", CommitHash::parse);
}

Result<SnapshotView> RepoFolder::snapshot(CommitHash const& commit) const {
  SnapshotView view{commit, snapshot_path(commit), {}, {}};
  std::error_code error;
  if (!fs::is_directory(view.folder, error)) {
    return fail(Code::kNotFound, fmt::format("commit {} of {} is not in the cache {}",
                                             commit.text(), id_.text(), hub_folder_.string()));
  }
  Path const blobs = path() / "blobs";
  auto const collect = [&](fs::directory_entry const& entry, std::string const& name) {
    auto repo_path = RepoPath::parse(name);
    if (!repo_path) return;
    std::error_code ignored;
    bool const is_link = entry.is_symlink(ignored);
    struct stat found{};
    if (::stat(entry.path().c_str(), &found) != 0) {
      if (is_link) view.dangling.push_back(std::move(*repo_path));
      return;
    }
    if (!S_ISREG(found.st_mode)) return;
    view.files.push_back({std::move(*repo_path), entry.path(),
                          static_cast<std::uint64_t>(found.st_size), is_link,
                          is_link ? blob_of_link(entry.path(), blobs) : std::nullopt});
  };
  RETURN_IF_ERROR(walk(view.folder, collect));
  std::ranges::sort(view.files, {}, &SnapshotFile::path);
  std::ranges::sort(view.dangling);
  return view;
}

Result<std::optional<Tree>> RepoFolder::read_tree(CommitHash const& commit) const {
  Path const file = path() / "trees" / (commit.text() + ".json");
  auto const text = read_regular_file(file, kMaxTreeBytes);
  if (!text && text.error().code == Code::kNotFound) return std::optional<Tree>();
  if (!text) return fail(text.error());
  auto tree = parse_tree_json(*text);
  if (!tree) return fail(std::move(tree).error().in(file.string()));
  return tree;
}

Result<std::vector<RepoId>> list_repos(Path const& hub_folder) {
  return folders_named(hub_folder, RepoId::from_folder_name);
}

Result<std::uint64_t> repo_size_bytes(RepoFolder const& repo) {
  auto const found = scan_repo(repo.path(), ScanDepth::kSizes);
  if (!found && found.error().code == Code::kNotFound) return 0;
  if (!found) return fail(found.error());
  return found->size_bytes();
}

}  // namespace homelab::cache
