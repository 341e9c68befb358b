// The part of RepoWriter that makes committed blobs visible: links, tree, ref, and what is known to
// be absent.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "base/strings.h"
#include "cache/blob_writer.h"
#include "durable_step.h"
#include "folder_at.h"
#include "link_placer.h"

namespace homelab::cache {
namespace {

/// Opens (making what is missing) a '/'-separated folder below `root`; folders that got a new entry
/// are noted in `changed`, relative to the root.
Result<FolderAt> make_below(FolderAt const& root, std::string_view folders,
                            std::set<std::string>& changed) {
  ASSIGN_OR_RETURN(FolderAt here, open_sub(root, "."));
  here.shown = root.shown;
  if (folders.empty()) return here;
  std::string relative;
  for (auto const segment : split(folders, '/')) {
    bool made = false;
    ASSIGN_OR_RETURN(FolderAt next, make_sub(here, std::string(segment), &made));
    if (made) changed.insert(relative);
    relative += relative.empty() ? "" : "/";
    relative += segment;
    here = std::move(next);
  }
  return here;
}

Status sync_below(FolderAt const& root, std::set<std::string> const& folders) {
  for (auto const& folder : folders) {
    ASSIGN_OR_RETURN(FolderAt here, open_sub(root, "."));
    here.shown = root.shown;
    for (auto const segment : split(folder, '/')) {
      if (segment.empty()) continue;
      ASSIGN_OR_RETURN(here, open_sub(here, std::string(segment)));
    }
    RETURN_IF_ERROR(sync(here));
  }
  return {};
}

struct SplitPath {
  std::string folder;  ///< empty for the root
  std::string name;
};
SplitPath split_path(std::string const& path) {
  auto const slash = path.rfind('/');
  if (slash == std::string::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

int depth_of(std::string_view folder) {
  return folder.empty() ? 0 : static_cast<int>(split(folder, '/').size());
}

/// True when `name` in `folder` is a regular file with exactly this content.
bool already_holds(FolderAt const& folder, std::string const& name, std::string_view content) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  auto const file = os::open_at(folder.fd.get(), name, kFlags);
  struct stat found{};
  if (!file || ::fstat(file->get(), &found) != 0 || !S_ISREG(found.st_mode) ||
      static_cast<std::size_t>(found.st_size) != content.size())
    return false;
  std::string there(content.size(), '\0');
  return ::pread(file->get(), there.data(), there.size(), 0) ==
             static_cast<ssize_t>(there.size()) &&
         there == content;
}

Status check_hashes(TreeFile const& file) {
  bool const good =
      file.git_oid.size() == 40 && BlobName::parse(file.git_oid) &&
      (!file.lfs_sha256 || (file.lfs_sha256->size() == 64 && BlobName::parse(*file.lfs_sha256))) &&
      (!file.xet_hash || (file.xet_hash->size() == 64 && BlobName::parse(*file.xet_hash)));
  if (good) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("the listing's hashes of {} are not hexadecimal names; it is not stored",
                          file.path.text()));
}

}  // namespace

Status RepoWriter::link_all(CommitHash const& commit, std::span<Link const> links) const {
  ASSIGN_OR_RETURN(FolderAt const repo, open_folder(folder_.path()));
  ASSIGN_OR_RETURN(FolderAt const blobs, open_sub(repo, "blobs"));
  std::string const root = "snapshots/" + commit.text();
  std::set<std::string> changed;
  RETURN_IF_ERROR(make_below(repo, root, changed));

  std::map<std::string, std::vector<Link const*>> by_folder;
  std::map<BlobName, int> uses;
  for (auto const& link : links) {
    by_folder[split_path(link.path.text()).folder].push_back(&link);
    ++uses[link.blob];
  }
  for (auto const& [folder, entries] : by_folder) {
    std::string below = root;
    if (!folder.empty()) below.append("/").append(folder);
    ASSIGN_OR_RETURN(FolderAt const here, make_below(repo, below, changed));
    for (auto const* link : entries) {
      bool const last_use = --uses.at(link->blob) == 0;
      RETURN_IF_ERROR(place_link({blobs, here, split_path(link->path.text()).name,
                                  link->blob.text(), depth_of(folder), last_use}));
    }
    changed.insert(below);
  }
  return sync_below(repo, changed);
}

Status RepoWriter::write_tree(CommitHash const& commit, Tree const& tree) const {
  for (auto const& file : tree.files) RETURN_IF_ERROR(check_hashes(file));
  std::string const text = to_tree_json(tree);
  ASSIGN_OR_RETURN(FolderAt const repo, open_folder(folder_.path()));
  std::set<std::string> changed;
  ASSIGN_OR_RETURN(FolderAt const trees, make_below(repo, "trees", changed));
  std::string const name = commit.text() + ".json";
  if (!already_holds(trees, name, text))
    RETURN_IF_ERROR(replace_file({trees, name + ".homelab.part", trees, name}, text));
  return sync_below(repo, changed);
}

Status RepoWriter::write_ref(Revision const& revision, CommitHash const& commit) const {
  if (revision.is_commit()) return {};
  ASSIGN_OR_RETURN(FolderAt const repo, open_folder(folder_.path()));
  auto const [folder, name] = split_path("refs/" + revision.text());
  std::set<std::string> changed;
  ASSIGN_OR_RETURN(FolderAt const refs, make_below(repo, folder, changed));
  // The temporary stands outside refs/: there, every file is a ref for other programs, half-written
  // or not.
  if (!already_holds(refs, name, commit.text()))
    RETURN_IF_ERROR(replace_file({repo, ".homelab-ref.part", refs, name}, commit.text()));
  return sync_below(repo, changed);
}

Status RepoWriter::mark_absent(CommitHash const& commit, RepoPath const& path) const {
  ASSIGN_OR_RETURN(FolderAt const repo, open_folder(folder_.path()));
  auto const [folder, name] = split_path(".no_exist/" + commit.text() + "/" + path.text());
  std::set<std::string> unsynced;  // a hint that may get lost
  ASSIGN_OR_RETURN(FolderAt const here, make_below(repo, folder, unsynced));
  auto const made = os::open_at(here.fd.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
  if (!made && made.error().code != Code::kAlreadyExists) return fail(made.error());
  return {};
}

}  // namespace homelab::cache
