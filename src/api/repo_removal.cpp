#include "repo_removal.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/os/file_lock.h"

namespace homelab::api {
namespace {

constexpr int kMaxDepth = 64;

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

/// Names in a folder, without "." and "..".
Result<std::vector<std::string>> names_in(int folder, cache::Path const& shown) {
  int const copy = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return fail_errno("open", shown.string(), errno);
  std::unique_ptr<DIR, CloseDirectory> const directory(::fdopendir(copy));
  if (!directory) {
    int const reason = errno;
    ::close(copy);
    return fail_errno("read", shown.string(), reason);
  }
  std::vector<std::string> names;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread has this directory stream
  while (dirent const* entry = ::readdir(directory.get())) {
    std::string_view const name = static_cast<char const*>(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

Status remove_entry(int folder, std::string const& name, cache::Path const& shown, int depth,
                    std::uint64_t& freed_bytes);

Status remove_content(int folder, cache::Path const& shown, int depth, std::uint64_t& freed_bytes) {
  if (depth > kMaxDepth)
    return fail(Code::kFailedPrecondition, fmt::format("{} is nested too deeply", shown.string()));
  ASSIGN_OR_RETURN(auto const names, names_in(folder, shown));
  for (std::string const& name : names)
    RETURN_IF_ERROR(remove_entry(folder, name, shown / name, depth, freed_bytes));
  return {};
}

/// A missing entry is no error. Links are removed, never followed.
Status remove_entry(int folder, std::string const& name, cache::Path const& shown, int depth,
                    std::uint64_t& freed_bytes) {
  struct stat info{};
  if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno("look at", shown.string(), errno);
  }
  if (S_ISDIR(info.st_mode)) {
    ASSIGN_OR_RETURN(auto const inner,
                     os::open_at(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    RETURN_IF_ERROR(remove_content(inner.get(), shown, depth + 1, freed_bytes));
    if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      return fail_errno("remove", shown.string(), errno);
    return {};
  }
  if (::unlinkat(folder, name.c_str(), 0) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno("remove", shown.string(), errno);
  }
  if (S_ISREG(info.st_mode) && info.st_nlink <= 1)
    freed_bytes += static_cast<std::uint64_t>(info.st_size);
  return {};
}

/// All locks of a repository that exist, taken.
Result<std::vector<os::FileLock>> take_locks(cache::Path const& hub_folder,
                                             cache::RepoId const& repo) {
  std::vector<os::FileLock> locks;
  cache::Path const folder = hub_folder / ".locks" / repo.folder_name();
  auto const opened = os::open_file(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!opened) {
    if (opened.error().code == Code::kNotFound) return locks;
    return fail(opened.error());
  }
  ASSIGN_OR_RETURN(auto const names, names_in(opened->get(), folder));
  for (std::string const& name : names) {
    if (!name.ends_with(".lock")) continue;
    ASSIGN_OR_RETURN(auto lock, os::FileLock::try_take(folder / name));
    if (!lock)
      return fail(Code::kAborted,
                  fmt::format("{} is being downloaded by some program right now (it holds {}); "
                              "nothing was deleted, try again when it has ended",
                              repo.text(), (folder / name).string()));
    locks.push_back(*std::move(lock));
  }
  return locks;
}

/// A relative or absolute link of the bridge (design §3) that pointed to the folder just removed.
void remove_link_to(cache::Path const& link, cache::Path const& removed) {
  std::error_code error;
  cache::Path const target = std::filesystem::read_symlink(link, error);
  if (error) return;
  cache::Path const full = (link.parent_path() / target).lexically_normal();
  if (full == removed.lexically_normal()) std::filesystem::remove(link, error);
}

Result<bool> remove_one(cache::Path const& hub_folder, cache::RepoId const& repo,
                        std::uint64_t& freed_bytes) {
  cache::Path const path = cache::RepoFolder(hub_folder, repo).path();
  auto const info = os::stat_link(path);
  if (!info) {
    if (info.error().code == Code::kNotFound) return false;
    return fail(info.error());
  }
  if (!S_ISDIR(info->st_mode)) return false;
  ASSIGN_OR_RETURN(auto const locks, take_locks(hub_folder, repo));
  ASSIGN_OR_RETURN(auto const parent, os::open_file(hub_folder, O_RDONLY | O_DIRECTORY));
  std::string const name = repo.folder_name();
  ASSIGN_OR_RETURN(auto const folder,
                   os::open_at(parent.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  for (std::string const first : {"refs", "snapshots"})
    RETURN_IF_ERROR(remove_entry(folder.get(), first, path / first, 0, freed_bytes));
  RETURN_IF_ERROR(remove_entry(parent.get(), name, path, 0, freed_bytes));
  return true;
}

cache::Path real_path(cache::Path const& path) {
  std::error_code error;
  cache::Path real = std::filesystem::weakly_canonical(path, error);
  return error ? path.lexically_normal() : real;
}

/// Folders (or, for a row that names a local path, that path) in which a row's files may stand.
std::vector<cache::Path> paths_of(cache::Locations const& locations, registry::Model const& model) {
  auto const reference = cache::ModelReference::parse(model.hf_path);
  if (!reference) return {real_path(model.hf_path)};
  std::vector<cache::Path> paths;
  for (cache::Path const& hub : hub_folders_of(locations, model))
    paths.push_back(real_path(cache::RepoFolder(hub, reference->repo).path()));
  return paths;
}

bool is_inside(cache::Path const& path, cache::Path const& folder) {
  auto const [rest, unused] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return rest == folder.end();
}

}  // namespace

std::vector<cache::Path> hub_folders_of(cache::Locations const& locations,
                                        registry::Model const& model) {
  auto const kind =
      cache::parse_location_kind(model.cache_location).value_or(cache::LocationKind::kCustom);
  auto const resolved = locations.resolve(kind, model.cache_path);
  std::vector<cache::Path> folders{resolved.hub.path};
  for (cache::Path& other : locations.readable_hub_folders(resolved))
    if (std::find(folders.begin(), folders.end(), other) == folders.end())
      folders.push_back(std::move(other));
  return folders;
}

std::string other_user(cache::Locations const& locations, registry::Model const& model,
                       std::vector<registry::Model> const& others) {
  auto const mine = paths_of(locations, model);
  for (registry::Model const& other : others) {
    if (other.id == model.id) continue;
    for (cache::Path const& path : paths_of(locations, other))
      for (cache::Path const& folder : mine)
        if (is_inside(path, folder)) return other.model_name;
  }
  return {};
}

Result<Removal> remove_repo(std::vector<cache::Path> const& hub_folders,
                            cache::RepoId const& repo) {
  Removal removal;
  for (cache::Path const& hub : hub_folders) {
    cache::Path const path = cache::RepoFolder(hub, repo).path();
    if (removal.path.empty()) removal.path = path;
    ASSIGN_OR_RETURN(bool const removed, remove_one(hub, repo, removal.freed_bytes));
    if (removed && !removal.found) removal.path = path;
    removal.found = removal.found || removed;
  }
  if (removal.found)
    for (cache::Path const& hub : hub_folders)
      remove_link_to(cache::RepoFolder(hub, repo).path(), removal.path);
  return removal;
}

}  // namespace homelab::api
