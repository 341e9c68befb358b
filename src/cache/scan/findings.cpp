#include "findings.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "../index/watch.h"

namespace homelab::cache::scan {
namespace {

constexpr std::size_t kMaxProblems = 1000;
/// One open descriptor per level.
constexpr int kMaxDepth = 64;

}  // namespace

void Findings::problem(Path const& path, std::string what) {
  if (scan.problems.size() + 1 < kMaxProblems) {
    scan.problems.push_back({path, std::move(what)});
  } else if (scan.problems.size() < kMaxProblems) {
    scan.problems.push_back({scan.folder, "there are more problems than can be listed"});
  }
}

void Findings::unreadable(Path const& path, int error) {
  scan.complete = false;
  if (error == E2BIG) {
    problem(path, "the repository holds more names than are read; what follows is not known");
  } else {
    problem(path, fmt::format("cannot be read: {}", std::generic_category().message(error)));
  }
}

OpenFolder Findings::enter(OpenFolder const& parent, char const* name, int depth) {
  OpenFolder folder;
  folder.shown = parent.shown / name;
  if (depth > kMaxDepth) {
    scan.complete = false;
    problem(folder.shown, "the folder is nested too deeply and not entered");
    return folder;
  }
  open(folder, parent.fd.get(), name);
  if (folder.fd && watch != nullptr)
    folder.watched = watch->folder(parent.watched, name, folder.facts);
  return folder;
}

OpenFolder Findings::enter_repo(int parent, char const* opened_as) {
  OpenFolder folder;
  folder.shown = scan.folder;
  open(folder, parent, opened_as);
  if (folder.fd && watch != nullptr) folder.watched = watch->folder(std::nullopt, {}, folder.facts);
  return folder;
}

void Findings::open(OpenFolder& folder, int parent, char const* name) {
  folder.fd = open_folder_at(parent, name);
  if (!folder.fd) {
    int const error = errno;
    if (error == ENOTDIR || error == ELOOP) {
      // Readers follow such a link, so what it shows may need the blobs.
      scan.complete = false;
      problem(folder.shown, "a link or a file stands where a folder belongs; it is not followed");
    } else if (error != ENOENT) {
      unreadable(folder.shown, error);
    }
    return;
  }
  if (::fstat(folder.fd.get(), &folder.facts) == 0)
    scan.other_disk_bytes += disk_bytes(folder.facts);
  if (int const error = folder.names.read(folder.fd.get(), names_left_); error != 0)
    unreadable(folder.shown, error);
}

void Findings::count_other(OpenFolder const& folder, char const* name, struct stat const& found) {
  if (watch != nullptr) watch->file(folder.watched, name, index::WatchKind::kFile, found);
  if (!S_ISREG(found.st_mode) || is_first_name(found, false))
    scan.other_disk_bytes += disk_bytes(found);
}

void Findings::count_link(int folder, char const* name, std::size_t length) {
  auto const [at, is_new] = link_bytes_.emplace(length, 0);
  struct stat found{};
  if (is_new && look_at(folder, name, found)) at->second = disk_bytes(found);
  scan.link_disk_bytes += at->second;
}

bool Findings::is_first_name(struct stat const& found, bool is_content) {
  if (found.st_nlink <= 1) return true;
  FileIdentity const identity{found.st_dev, found.st_ino};
  if (!linked_.insert(identity).second) return false;
  scan.hard_linked.push_back({identity, size_bytes(found), disk_bytes(found), is_content});
  return true;
}

void Findings::count_tree(OpenFolder const& parent, char const* name, int depth) {
  OpenFolder const folder = enter(parent, name, depth);
  for (std::size_t i = 0; folder.fd && i < folder.names.size(); ++i) {
    auto const node = folder.names[i];
    struct stat found{};
    if (node.kind == NodeKind::kFolder) {
      count_tree(folder, node.name, depth + 1);
    } else if (look_at(folder.fd.get(), node.name, found)) {
      if (S_ISDIR(found.st_mode)) {
        count_tree(folder, node.name, depth + 1);
      } else {
        count_other(folder, node.name, found);
      }
    }
  }
}

NodeKind known_kind(OpenFolder const& folder, FolderList::Node const& node) {
  if (node.kind != NodeKind::kUnknown) return node.kind;
  struct stat found{};
  return look_at(folder.fd.get(), node.name, found) ? kind_of(found.st_mode) : NodeKind::kOther;
}

}  // namespace homelab::cache::scan
