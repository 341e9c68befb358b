#include "sandbox/file_rules.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <string_view>
#include <system_error>

#include "base/os/file.h"

namespace homelab::engine_process {
namespace {

namespace fs = std::filesystem;

// Newer than Debian 12's linux/landlock.h (landlock(7) has the versions).
constexpr std::uint64_t kTruncate = 1ULL << 14;     // version 3
constexpr std::uint64_t kDeviceCalls = 1ULL << 15;  // version 5
constexpr std::uint64_t kBindTcp = 1ULL << 0;       // version 4
constexpr std::uint64_t kConnectTcp = 1ULL << 1;
constexpr std::uint64_t kScopeAbstractSocket = 1ULL << 0;  // version 6
constexpr std::uint64_t kScopeSignal = 1ULL << 1;

struct RulesetAttributes {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;
  std::uint64_t scoped = 0;
};

constexpr std::uint64_t kReadFile = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

/// A snapshot has dozens of files; a folder of somebody's own may have any number.
constexpr std::size_t kMostLinks = 20'000;
constexpr int kDeepest = 8;

std::uint64_t handled_rights(int version) {
  std::uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1U) - 1;  // all of version 1
  if (version >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) rights |= kTruncate;
  if (version >= 5) rights |= kDeviceCalls;
  return rights;
}

/// One set of rules under construction. What cannot be opened gets no rule.
class Rules {
 public:
  explicit Rules(int version) : handled_(handled_rights(version)) {
    RulesetAttributes attributes;
    attributes.handled_access_fs = handled_;
    std::size_t size = sizeof attributes.handled_access_fs;
    if (version >= 4) {
      attributes.handled_access_net = kBindTcp | kConnectTcp;
      size += sizeof attributes.handled_access_net;
    }
    if (version >= 6) {
      attributes.scoped = kScopeAbstractSocket | kScopeSignal;
      size += sizeof attributes.scoped;
    }
    set_ = os::UniqueFd(
        static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  }

  /// Follows links: the rule is for what they lead to.
  void allow(Path const& path, std::uint64_t rights) {
    os::UniqueFd const target(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat info{};
    if (!target || ::fstat(target.get(), &info) != 0) return;
    constexpr std::uint64_t kOfFiles = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                       LANDLOCK_ACCESS_FS_READ_FILE | kTruncate | kDeviceCalls;
    if (!S_ISDIR(info.st_mode)) rights &= kOfFiles;
    landlock_path_beneath_attr rule{};
    rule.allowed_access = rights & handled_;
    rule.parent_fd = target.get();
    if (rule.allowed_access != 0)
      ::syscall(SYS_landlock_add_rule, set_.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  }

  [[nodiscard]] bool enforce() const {
    return set_.valid() && ::syscall(SYS_landlock_restrict_self, set_.get(), 0) == 0;
  }

 private:
  std::uint64_t handled_;
  os::UniqueFd set_;
};

/// The folder, and what links below it lead to: snapshots are links into the blobs.
void allow_folder(Rules& rules, Path const& folder) {
  rules.allow(folder, kRead);
  std::error_code error;
  std::size_t links = 0;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied,
                                         error);
  for (; !error && entry != fs::recursive_directory_iterator() && links < kMostLinks;
       entry.increment(error)) {
    if (entry.depth() >= kDeepest) entry.disable_recursion_pending();
    std::error_code ignored;
    if (!entry->is_symlink(ignored) || !entry->is_regular_file(ignored)) continue;
    ++links;
    rules.allow(entry->path(), kReadFile);
  }
}

/// The file, and those beside it that may belong to it: shards, a projector.
void allow_file(Rules& rules, Path const& file) {
  rules.allow(file, kReadFile);
  if (file.extension() != ".gguf") return;
  std::error_code error;
  std::size_t files = 0;
  for (fs::directory_iterator entry(file.parent_path(), error), end;
       !error && entry != end && files < kMostLinks; entry.increment(error)) {
    std::error_code ignored;
    if (entry->path().extension() != ".gguf" || !entry->is_regular_file(ignored)) continue;
    ++files;
    rules.allow(entry->path(), kReadFile);
  }
}

/// Every GPU's, whether its back end is here or not. What is made later is not allowed.
void allow_devices(Rules& rules) {
  constexpr std::uint64_t kUse = kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | kDeviceCalls;
  for (auto const* name : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
                           "/dev/dri", "/dev/kfd", "/dev/dxg", "/dev/accel"})
    rules.allow(name, kUse);
  std::error_code error;
  for (fs::directory_iterator entry("/dev", error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().filename().string().starts_with("nvidia")) rules.allow(entry->path(), kUse);
  }
}

}  // namespace

int landlock_version() {
  auto const version =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version > 0 ? static_cast<int>(version) : 0;
}

std::vector<Path> system_files() {
  return {"/usr",
          "/lib",
          "/lib64",
          "/opt",
          "/nix/store",
          "/run/opengl-driver",
          "/proc",
          "/sys",
          "/etc/ld.so.cache",
          "/etc/ld.so.conf",
          "/etc/ld.so.conf.d",
          "/etc/localtime",
          "/etc/vulkan",
          "/etc/OpenCL",
          "/etc/nvidia",
          "/etc/glvnd"};
}

int limit_files(SandboxNeeds const& needs) {
  int const version = landlock_version();
  if (version == 0) return 0;
  Rules rules(version);
  for (auto const& path : system_files()) rules.allow(path, kRead);
  allow_devices(rules);
  for (auto const& path : needs.readable) {
    std::error_code ignored;
    if (fs::is_directory(path, ignored)) {
      allow_folder(rules, path);
    } else {
      allow_file(rules, path);
    }
  }
  for (auto const& folder : needs.removable) rules.allow(folder, LANDLOCK_ACCESS_FS_REMOVE_FILE);
  return rules.enforce() ? version : 0;
}

}  // namespace homelab::engine_process
