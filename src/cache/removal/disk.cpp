// What a removal's plan asks the disk for.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <memory>

#include "../store/shared_store.h"
#include "cache/removal.h"
#include "walk_at.h"

namespace homelab::cache {
namespace {

constexpr std::uint64_t kStatBlockBytes = 512;
constexpr std::int64_t kNsPerS = 1'000'000'000;

void add(DiskUse& use, struct stat const& found) {
  std::uint64_t const blocks = static_cast<std::uint64_t>(found.st_blocks) * kStatBlockBytes;
  if (!S_ISDIR(found.st_mode) && found.st_nlink > 1)
    use.shared.push_back({{found.st_dev, found.st_ino}, blocks, found.st_nlink});
  else
    use.own_bytes += blocks;
}

void add_below(DiskUse& use, FolderAt const& folder, int depth) {
  auto const names = names_in(folder);
  if (!names || depth > kMaxWalkDepth) return;
  for (std::string const& name : *names) {
    struct stat found{};
    if (::fstatat(folder.fd.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) continue;
    add(use, found);
    if (!S_ISDIR(found.st_mode)) continue;
    if (auto const inner = open_sub(folder, name)) add_below(use, *inner, depth + 1);
  }
}

DiskUse use_of(FolderAt const& hub, std::string path) {
  while (path.ends_with('/')) path.pop_back();
  DiskUse use;
  auto const [folder, name] = split_name(path);
  auto const parent = open_below(hub, folder);
  struct stat found{};
  if (!parent || ::fstatat(parent->fd.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0)
    return use;
  use.exists = true;
  use.modified_ns = std::int64_t{found.st_mtim.tv_sec} * kNsPerS + found.st_mtim.tv_nsec;
  add(use, found);
  if (S_ISDIR(found.st_mode))
    if (auto const inner = open_sub(*parent, name)) add_below(use, *inner, 0);
  return use;
}

std::set<std::string> listings_of(FolderAt const& hub, std::string const& repo) {
  std::set<std::string> commits;
  auto const note = [&](std::string_view name) {
    if (auto const commit = CommitHash::parse(name)) commits.insert(commit->text());
  };
  if (auto const trees = open_below(hub, repo + "/trees"))
    if (auto const names = names_in(*trees))
      for (std::string const& name : *names)
        if (name.ends_with(".json")) note(std::string_view(name).substr(0, name.size() - 5));
  if (auto const absences = open_below(hub, repo + "/.no_exist"))
    if (auto const names = names_in(*absences))
      for (std::string const& name : *names) note(name);
  return commits;
}

}  // namespace

DiskFacts look_up(Path const& hub_folder, std::string const& repo_folder_name) {
  DiskFacts facts;
  auto opened = open_folder(hub_folder);
  if (!opened) {
    facts.use = [](std::string const&) { return DiskUse{}; };
    facts.payload = [](std::string const&) { return std::optional<StorePayload>(); };
    return facts;
  }
  auto const hub = std::make_shared<FolderAt const>(*std::move(opened));
  facts.use = [hub](std::string const& path) { return use_of(*hub, path); };
  facts.payload = [hub](std::string const& blob_path) -> std::optional<StorePayload> {
    auto path = payload_of(*hub, blob_path);
    if (!path) return std::nullopt;
    auto references = references_of(*hub, *path);
    return StorePayload{*std::move(path), std::move(references)};
  };
  facts.listings = listings_of(*hub, repo_folder_name);
  return facts;
}

}  // namespace homelab::cache
