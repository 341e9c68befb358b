#include "cache_owner.h"

#include <fmt/format.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "base/os/file.h"
#include "base/strings.h"
#include "cli/settings_locations.h"
#include "container.h"

namespace homelab::cli {
namespace {

constexpr std::uint32_t kReach = 1U << CAP_DAC_OVERRIDE;

using Capabilities = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

/// None when the kernel does not say.
Capabilities capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  Capabilities data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return {};
  return data;
}

/// Not after cap_drop: ALL; a root without rights cannot even lose its name.
bool can_change_user() {
  constexpr std::uint32_t kNeeded = 1U << CAP_SETUID | 1U << CAP_SETGID;
  return (capabilities()[0].effective & kNeeded) == kNeeded;
}

struct Owned {
  struct stat facts;
  cache::Path folder;
};

/// The root; its hub folder where the root belongs to root, as a folder does that a container
/// engine made.
std::optional<Owned> owned_folder(cache::Locations::Resolved const& primary) {
  for (auto const& folder : {primary.root, primary.hub.path}) {
    auto const found = os::stat_target(folder);
    if (found && S_ISDIR(found->st_mode) && found->st_uid != 0) return Owned{*found, folder};
  }
  return std::nullopt;
}

/// On a real mount of the host: elsewhere owners say nothing.
bool is_lasting(cache::Path const& folder) {
  auto const mounts = cache::read_mounts();
  auto const* const mount = cache::mount_of(mounts, cache::existing_part(folder));
  if (mount == nullptr) return false;
  auto const kind = cache::place_kind(*mount, true);
  return kind == cache::PlaceKind::kMounted || kind == cache::PlaceKind::kVolume;
}

Status failed(std::string_view what, CacheOwner const& owner) {
  return fail(Code::kPermissionDenied,
              fmt::format("{} to become uid {}, the owner of {} (errno {}); start the container as "
                          "that user: user: \"{}:{}\" in the compose file",
                          what, owner.user, owner.folder, errno, owner.user, owner.group));
}

/// What --group-add or group_add gave stays (devices), root's own group does not.
std::vector<gid_t> groups_to_keep(gid_t group) {
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(0, ::getgroups(0, nullptr))));
  int const number = ::getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(static_cast<std::size_t>(std::max(0, number)));
  std::erase_if(groups, [&](gid_t one) { return one == 0 || one == group; });
  groups.push_back(group);
  return groups;
}

/// Of root's rights only the reach remains; none at all where the container has not given it.
bool keep_reach_only() {
  auto data = capabilities();
  std::uint32_t const reach = data[0].permitted & kReach;
  data[0] = {reach, reach, reach};
  data[1] = {};
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  if (::syscall(SYS_capset, &header, data.data()) != 0) return false;
  return reach == 0 || ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0) == 0;
}

Status become(CacheOwner const& owner) {
  auto const groups = groups_to_keep(owner.group);
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
    return failed("capabilities cannot be kept", owner);
  if (::setgroups(groups.size(), groups.data()) != 0) return failed("groups cannot be set", owner);
  if (::setresgid(owner.group, owner.group, owner.group) != 0 ||
      ::setresuid(owner.user, owner.user, owner.user) != 0)
    return failed("ids cannot be changed", owner);
  if (!keep_reach_only()) return failed("capabilities cannot be set", owner);
  // The kernel took /proc/self/fd away together with the name.
  (void)::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  return {};
}

}  // namespace

std::string describe(CacheOwner const& owner) {
  return fmt::format(
      "running as uid {}, gid {}, the owner of {}: it was started as root in a container",
      owner.user, owner.group, owner.folder);
}

bool maps_every_id(std::string_view uid_map) {
  std::vector<std::string_view> words;
  for (std::string_view const line : split(uid_map, '\n'))
    for (std::string_view const word : split(line, ' '))
      if (!word.empty()) words.push_back(word);
  return words == std::vector<std::string_view>{"0", "0", "4294967295"};
}

Result<std::optional<CacheOwner>> become_cache_owner(config::Settings const& settings) {
  constexpr std::size_t kMaxMap = 64UL * 1024;
  if (::geteuid() != 0 || !can_change_user() || !is_in_container()) return std::nullopt;
  if (!maps_every_id(os::read_file("/proc/self/uid_map", kMaxMap).value_or("")))
    return std::nullopt;
  auto const locations = locations_of(settings);
  auto const primary = locations.resolve(locations.primary());
  auto const owned = owned_folder(primary);
  if (!owned || !is_lasting(owned->folder)) return std::nullopt;
  CacheOwner owner{owned->facts.st_uid, owned->facts.st_gid, owned->folder.string()};
  RETURN_IF_ERROR(become(owner));
  return owner;
}

}  // namespace homelab::cli
