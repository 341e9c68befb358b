#include "cache/mounts.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "base/os/file.h"
#include "base/strings.h"

namespace homelab::cache {
namespace {

constexpr std::size_t kMaxMounts = 100'000;

bool is_octal(char c) { return c >= '0' && c <= '7'; }

/// The kernel writes blank, tab, newline and backslash as \ooo.
std::string unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool const escape = text[i] == '\\' && i + 3 < text.size() && text[i + 1] <= '3' &&
                        is_octal(text[i + 1]) && is_octal(text[i + 2]) && is_octal(text[i + 3]);
    if (!escape) {
      out += text[i];
      continue;
    }
    out +=
        static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return out;
}

bool has_option(std::string_view options, std::string_view wanted) {
  auto const words = split(options, ',');
  return std::ranges::find(words, wanted) != words.end();
}

std::optional<Mount> parse_line(std::string_view line) {
  constexpr std::size_t kFixedFields = 6;
  auto const words = split(line, ' ');
  auto const dash =
      std::find(words.begin() + static_cast<std::ptrdiff_t>(std::min(kFixedFields, words.size())),
                words.end(), "-");
  // Behind the dash: type, source, options of the file system.
  if (words.size() < kFixedFields || words.end() - dash < 4) return std::nullopt;
  auto const id = parse_uint(words[0]);
  Mount mount{id.value_or(0),        unescape(words[3]),
              unescape(words[4]),    has_option(words[5], "ro") || has_option(*(dash + 3), "ro"),
              unescape(*(dash + 1)), unescape(*(dash + 2)),
              unescape(*(dash + 3))};
  if (!id || mount.root.empty() || !mount.point.starts_with('/') || mount.file_system.empty())
    return std::nullopt;
  return mount;
}

bool is_below(std::string_view path, std::string_view point) {
  if (point == "/" || path == point) return path.starts_with('/');
  return path.size() > point.size() && path.starts_with(point) && path[point.size()] == '/';
}

template <std::size_t N>
bool is_one_of(std::array<std::string_view, N> const& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

constexpr std::array<std::string_view, 3> kLayered{"overlay", "fuse-overlayfs", "aufs"};
constexpr std::array<std::string_view, 2> kInMemory{"tmpfs", "ramfs"};
/// File systems of other machines or of other systems: their locks are not to be trusted.
constexpr std::array<std::string_view, 11> kForeign{"nfs",  "nfs4",      "cifs",   "smb3",
                                                    "9p",   "virtiofs",  "lustre", "gpfs",
                                                    "ceph", "fakeowner", "drvfs"};

std::string reason_in_mounts(std::span<Mount const> mounts) {
  Mount const* const top = mount_of(mounts, "/");
  if (top == nullptr) return "";
  if (is_one_of(kLayered, top->file_system))
    return "/ is a layered file system (" + top->file_system + ")";
  bool const subvolume = top->file_system == "btrfs";
  if (top->root != "/" && !subvolume) return "/ is the folder " + top->root + " of its disk";
  return "";
}

bool names_container(std::string_view control_groups) {
  return std::ranges::any_of(
      std::array<std::string_view, 4>{"docker", "kubepods", "libpod", "lxc"},
      [&](std::string_view word) { return control_groups.find(word) != std::string_view::npos; });
}

}  // namespace

std::vector<Mount> parse_mountinfo(std::string_view text) {
  std::vector<Mount> mounts;
  for (std::string_view const line : split(text.substr(0, kMaxMountinfoBytes), '\n')) {
    if (mounts.size() == kMaxMounts) break;
    if (auto mount = parse_line(line)) mounts.push_back(*std::move(mount));
  }
  return mounts;
}

std::vector<Mount> read_mounts() {
  auto const text = os::read_file("/proc/self/mountinfo", kMaxMountinfoBytes);
  return text ? parse_mountinfo(*text) : std::vector<Mount>();
}

Mount const* mount_of(std::span<Mount const> mounts, Path const& path) {
  Mount const* best = nullptr;
  for (auto const& mount : mounts) {
    if (!is_below(path.native(), mount.point)) continue;
    if (best == nullptr || mount.point.size() >= best->point.size()) best = &mount;
  }
  return best;
}

Path existing_part(Path const& path) {
  std::error_code error;
  for (Path part = path; !part.empty(); part = part.parent_path()) {
    auto real = std::filesystem::canonical(part, error);
    if (!error) return real;
    if (!part.has_relative_path()) break;
  }
  return "/";
}

Container judge_container(ContainerHints const& hints, std::span<Mount const> mounts) {
  if (hints.marked) return {ContainerVerdict::kYes, "HOMELAB_LLM_CONTAINER=1"};
  if (auto reason = reason_in_mounts(mounts); !reason.empty())
    return {ContainerVerdict::kProbably, std::move(reason)};
  if (hints.podman_file) return {ContainerVerdict::kProbably, "there is /run/.containerenv"};
  if (hints.kubernetes) return {ContainerVerdict::kProbably, "KUBERNETES_SERVICE_HOST is set"};
  if (names_container(hints.control_groups))
    return {ContainerVerdict::kProbably, "/proc/1/cgroup names a container"};
  return {ContainerVerdict::kNo, hints.docker_file ? "there is /.dockerenv, but nothing else" : ""};
}

PlaceKind place_kind(Mount const& mount, bool in_container) {
  if (mount.root.ends_with("//deleted")) return PlaceKind::kDeleted;
  if (is_one_of(kInMemory, mount.file_system)) return PlaceKind::kMemory;
  if (in_container && mount.point == "/") return PlaceKind::kOwnLayer;
  if (is_one_of(kForeign, mount.file_system) ||
      (mount.file_system.starts_with("fuse.") && !is_one_of(kLayered, mount.file_system)))
    return PlaceKind::kForeign;
  if (mount.root.ends_with("/_data") && mount.root.find("/volumes/") != std::string::npos)
    return PlaceKind::kVolume;
  return PlaceKind::kMounted;
}

}  // namespace homelab::cache
