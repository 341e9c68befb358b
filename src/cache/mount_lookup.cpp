#include "cache/mount_lookup.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <vector>

namespace homelab::cache {
namespace {

using Names = std::vector<std::string>;

/// Nothing that a folder of the host can be mounted as.
constexpr std::array<std::string_view, 9> kPseudo{
    "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "tmpfs", "devtmpfs", "ramfs"};
/// One equal name is chance ("models"), two are a path.
constexpr std::size_t kFewestNames = 2;

Path plain(Path const& path) {
  Path const normal = path.lexically_normal();
  return normal.has_filename() || !normal.has_relative_path() ? normal : normal.parent_path();
}

Names names_of(Path const& path) {
  Names names;
  for (auto const& part : path.relative_path()) names.push_back(part.string());
  return names;
}

bool ends_with(Names const& whole, Names const& tail) {
  return tail.size() <= whole.size() && std::equal(tail.rbegin(), tail.rend(), whole.rbegin());
}

/// The rest of `path` below `folder`; nullopt when it is not in it.
std::optional<Path> rest_below(Path const& folder, Path const& path) {
  auto const top = names_of(folder);
  auto const all = names_of(path);
  if (top.size() > all.size() || !std::equal(top.begin(), top.end(), all.begin()))
    return std::nullopt;
  Path rest;
  for (std::size_t i = top.size(); i < all.size(); ++i) rest /= all[i];
  return rest;
}

Path join(Path const& folder, Path const& rest) { return rest.empty() ? folder : folder / rest; }

/// The source folder without the name of its btrfs subvolume; empty when it has none.
std::string without_subvolume(Mount const& mount) {
  constexpr std::string_view kKey = "subvol=";
  auto const at = mount.super_options.find(kKey);
  if (at == std::string::npos) return {};
  auto const begin = at + kKey.size();
  auto const name = mount.super_options.substr(begin, mount.super_options.find(',', begin) - begin);
  if (name.size() <= 1 || !mount.root.starts_with(name + "/")) return {};
  return mount.root.substr(name.size());
}

std::optional<MountFit> fit_of(Mount const& mount, Path const& folder) {
  if (folder == mount.root) return MountFit::kSame;
  auto const inside = without_subvolume(mount);
  if (!inside.empty() && folder == inside) return MountFit::kInSubvolume;
  auto const source = names_of(inside.empty() ? mount.root : inside);
  auto const wanted = names_of(folder);
  if (source.size() >= kFewestNames && ends_with(wanted, source)) return MountFit::kSourceIsTail;
  if (wanted.size() >= kFewestNames && ends_with(source, wanted)) return MountFit::kSourceIsLonger;
  return std::nullopt;
}

struct Hit {
  MountFit fit;
  Mount const* mount;
  FileIdentity folder;
  Path path;
  bool whole;  ///< the mount is the folder itself, not one above it
};

/// The folder itself, else the nearest folder above it that the mount shows.
std::optional<Hit> hit_of(Mount const& mount, Path const& host_path, FolderProbe const& probe) {
  bool const hopeless = mount.point == "/" || mount.root == "/" ||
                        mount.root.ends_with("//deleted") ||
                        std::ranges::find(kPseudo, mount.file_system) != kPseudo.end();
  if (hopeless) return std::nullopt;
  Path rest;
  for (Path folder = host_path; folder.has_relative_path(); folder = folder.parent_path()) {
    if (auto const fit = fit_of(mount, folder)) {
      auto const seen = probe(mount.point);
      if (!seen) return std::nullopt;
      return Hit{*fit, &mount, *seen, join(mount.point, rest), rest.empty()};
    }
    rest = rest.empty() ? folder.filename() : folder.filename() / rest;
  }
  return std::nullopt;
}

}  // namespace

std::optional<FileIdentity> folder_identity(Path const& point) {
  struct stat found{};
  if (::stat(point.c_str(), &found) != 0 || !S_ISDIR(found.st_mode) || found.st_nlink == 0)
    return std::nullopt;
  return FileIdentity{found.st_dev, found.st_ino};
}

std::optional<Path> map_path(std::span<PathMapping const> map, Path const& path) {
  PathMapping const* best = nullptr;
  Path best_rest;
  Path const wanted = plain(path);
  for (auto const& entry : map) {
    auto rest = rest_below(plain(entry.host), wanted);
    if (!rest) continue;
    if (best != nullptr && names_of(best->host).size() >= names_of(entry.host).size()) continue;
    best = &entry;
    best_rest = *std::move(rest);
  }
  return best == nullptr ? std::nullopt : std::optional(join(plain(best->here), best_rest));
}

MountLookup find_mounted(std::span<Mount const> mounts, Path const& host_path,
                         FolderProbe const& probe) {
  std::vector<Hit> hits;
  for (auto const& mount : mounts)
    if (auto hit = hit_of(mount, plain(host_path), probe)) hits.push_back(*std::move(hit));
  if (hits.empty()) return {};
  auto const best = std::ranges::max(hits, {}, &Hit::fit).fit;
  std::erase_if(hits, [&](Hit const& hit) { return hit.fit != best; });
  // The mount of the folder itself before one above it, then one that can be written.
  auto const order = [](Hit const& hit) {
    return std::pair(hit.whole ? 0 : 1, hit.mount->read_only ? 1 : 0);
  };
  std::ranges::stable_sort(hits, {}, order);
  for (auto const& hit : hits) {
    if (hit.whole == hits.front().whole && hit.folder != hits.front().folder)
      return {std::nullopt, best,
              fmt::format("{} could be {} or {}; say which with CACHE_PATH_MAP", host_path.string(),
                          hits.front().path.string(), hit.path.string())};
  }
  auto const& taken = hits.front();
  return {taken.path, best,
          fmt::format("{} of the host is mounted at {}", taken.mount->root, taken.mount->point)};
}

PlaceFinder::PlaceFinder(std::vector<PathMapping> map, std::vector<Mount> mounts,
                         Container container)
    : map_(std::move(map)), mounts_(std::move(mounts)), container_(std::move(container)) {}

bool PlaceFinder::is_on_own_layer(Path const& path) const {
  auto const* const mount = mount_of(mounts_, existing_part(path));
  return mount != nullptr && place_kind(*mount, true) == PlaceKind::kOwnLayer;
}

PlaceFinder::Found PlaceFinder::find(Path const& path) const {
  if (auto mapped = map_path(map_, path)) return {*std::move(mapped), "CACHE_PATH_MAP says so"};
  if (container_.verdict == ContainerVerdict::kNo || !is_on_own_layer(path)) return {path, {}};
  auto found = find_mounted(mounts_, path);
  return {found.path ? *std::move(found.path) : path, std::move(found.why)};
}

Status PlaceFinder::check_lasting(Path const& path) const {
  if (container_.verdict != ContainerVerdict::kYes || !is_on_own_layer(path)) return {};
  // What is mounted is the root, not the hub folder in it.
  Path const root = path.filename() == "hub" ? path.parent_path() : path;
  return fail(Code::kFailedPrecondition,
              fmt::format("{0} is on the container's own layer: what is downloaded there is lost "
                          "with the container. Mount the host's folder: add to the service in the "
                          "compose file\n    volumes:\n      - {0}:{0}\nor say what it is called "
                          "here with CACHE_PATH_MAP=HOST=HERE, or allow it with "
                          "HOMELAB_LLM_ALLOW_CONTAINER_LAYER=true",
                          root.string()));
}

}  // namespace homelab::cache
