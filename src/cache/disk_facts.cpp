#include "cache/disk_facts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "base/hash.h"
#include "base/os/file.h"
#include "cache/mounts.h"

namespace homelab::cache {
namespace {

struct KnownKind {
  std::uint64_t magic;
  std::string_view name;
  bool network = false;
  bool memory = false;
};
// Numbers of statfs(2); some have no name in the system's headers.
constexpr std::array kKinds{
    KnownKind{0xEF53, "ext4"},
    KnownKind{0x9123683E, "btrfs"},
    KnownKind{0x58465342, "xfs"},
    KnownKind{0x2FC12FC1, "zfs"},
    KnownKind{0xF2F52010, "f2fs"},
    KnownKind{0xCA451A4E, "bcachefs"},
    KnownKind{0x6969, "nfs", true},
    KnownKind{0xFF534D42, "cifs", true},
    KnownKind{0xFE534D42, "smb", true},
    KnownKind{0x01021997, "9p", true},
    KnownKind{0x65735546, "fuse", true},
    KnownKind{0x00C36400, "ceph", true},
    KnownKind{0x0BD00BD0, "lustre", true},
    KnownKind{0x794C7630, "overlay"},
    KnownKind{0x01021994, "tmpfs", false, true},
    KnownKind{0x858458F6, "ramfs", false, true},
    KnownKind{0x4D44, "vfat"},
    KnownKind{0x2011BAB0, "exfat"},
    KnownKind{0x7366746E, "ntfs"},
    KnownKind{0x5346544E, "ntfs"},
    KnownKind{0x73717368, "squashfs"},
    KnownKind{0x9660, "iso9660"},
};

KnownKind const* known_kind(std::uint64_t magic) {
  auto const* const at = std::ranges::find(kKinds, magic, &KnownKind::magic);
  return at == kKinds.end() ? nullptr : at;
}

/// Where a trial disturbs nobody: below .locks in a hub folder, because scanners take every other
/// entry for a repository.
Path trial_path(Path const& parent) {
  std::error_code error;
  Path const locks = parent / ".locks";
  bool const hub =
      std::filesystem::is_directory(locks, error) && ::access(locks.c_str(), W_OK) == 0;
  return (hub ? locks : parent) / (".homelab-llm-trial-" + random_hex(4));
}

/// A folder of this trial's own, removed with everything in it.
class TrialFolder {
 public:
  static Result<TrialFolder> make(Path const& parent) {
    Path const folder = trial_path(parent);
    if (::mkdir(folder.c_str(), 0700) != 0)
      return fail_errno("create folder", folder.string(), errno);
    return TrialFolder(folder);
  }
  TrialFolder(TrialFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TrialFolder& operator=(TrialFolder&&) = delete;
  ~TrialFolder() {
    if (path_.empty()) return;
    for (std::string_view const name : {"a", "b", "c", "lock"}) ::unlink((path_ / name).c_str());
    ::rmdir(path_.c_str());
  }
  [[nodiscard]] std::string in(std::string_view name) const { return (path_ / name).string(); }
  [[nodiscard]] Path const& path() const { return path_; }

 private:
  explicit TrialFolder(Path path) : path_(std::move(path)) {}
  Path path_;
};

LockTruth truth_of(int second_lock_error) {
  if (second_lock_error == 0) return LockTruth::kGrantsEverybody;
  return second_lock_error == EWOULDBLOCK ? LockTruth::kExcludes : LockTruth::kUnsupported;
}

/// errno of taking the lock once more, 0 when it was granted.
int lock_again(std::string const& path) {
  int const fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno;
  int const error = ::flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

/// The same from another process. Only calls that are safe after fork() in a program with threads.
LockTruth lock_from_child(std::string const& path) {
  constexpr int kRefused = 1;
  constexpr int kOther = 2;
  pid_t const child = ::fork();
  if (child < 0) return LockTruth::kUnsupported;
  if (child == 0) {
    int const error = lock_again(path);
    ::_exit(error == 0 ? 0 : error == EWOULDBLOCK ? kRefused : kOther);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status)) return LockTruth::kUnsupported;
  if (WEXITSTATUS(status) == 0) return LockTruth::kGrantsEverybody;
  return WEXITSTATUS(status) == kRefused ? LockTruth::kExcludes : LockTruth::kUnsupported;
}

void try_locks(TrialFolder const& trial, FolderAbilities& found) {
  std::string const path = trial.in("lock");
  auto const file = os::open_file(path, O_RDWR | O_CREAT);
  if (!file || ::flock(file->get(), LOCK_EX | LOCK_NB) != 0) return;
  found.locks = truth_of(lock_again(path));
  found.locks_across = lock_from_child(path);
}

bool can_reflink(int from, std::string const& to) {
  auto const copy = os::open_file(to, O_WRONLY | O_CREAT);
  return copy && ::ioctl(copy->get(), FICLONE, from) == 0;
}

bool can_swap(std::string const& one, std::string const& other) {
  return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
}

Status write_first(int file) {
  constexpr std::string_view kText = "trial of homelab-llm doctor; may be removed\n";
  return os::write_all_at(file, std::as_bytes(std::span(kText)), 0);
}

bool is_stale_mount(int error) { return error == ENODEV || error == EIO || error == ESTALE; }

FolderState degraded(std::string reason, bool readable) {
  return {FolderState::State::kDegraded, readable, std::move(reason)};
}

std::string reason_of(int error, Path const& folder) {
  if (error == EROFS) return "it is mounted read-only";
  if (error == EACCES || error == EPERM) return "this user may not write to " + folder.string();
  if (error == ENOSPC || error == EDQUOT) return "the disk or the user's quota is full";
  if (is_stale_mount(error)) return "its drive does not answer";
  if (error == ENOENT) return "it was removed while it is mounted here";
  return std::error_code(error, std::generic_category()).message();
}

/// 0, or the errno of making a file in an existing folder.
int try_to_write(Path const& folder) {
  Path const trial = trial_path(folder);
  int const fd = ::open(trial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return errno;
  ::close(fd);
  return ::unlink(trial.c_str()) == 0 ? 0 : errno;
}

}  // namespace

std::string file_system_name(std::uint64_t magic) {
  auto const* const kind = known_kind(magic);
  return kind != nullptr ? std::string(kind->name) : fmt::format("0x{:x}", magic);
}

Result<FileSystemFacts> file_system_of(Path const& path) {
  Path const place = existing_part(path);
  struct statfs kind{};
  struct statvfs space{};
  if (::statfs(place.c_str(), &kind) != 0 || ::statvfs(place.c_str(), &space) != 0)
    return fail_errno("ask the file system of", path.string(), errno);
  auto const magic = static_cast<std::uint64_t>(static_cast<std::uint32_t>(kind.f_type));
  auto const* const known = known_kind(magic);
  FileSystemFacts facts;
  facts.kind = file_system_name(magic);
  facts.network = known != nullptr && known->network;
  facts.memory = known != nullptr && known->memory;
  facts.read_only = (space.f_flag & ST_RDONLY) != 0;
  facts.free_bytes = space.f_bavail * space.f_frsize;
  facts.total_bytes = space.f_blocks * space.f_frsize;
  if (space.f_files != 0) facts.free_files = space.f_favail;
  return facts;
}

FolderState look_at_folder(Path const& folder) {
  std::error_code error;
  auto const status = std::filesystem::status(folder, error);
  bool const exists = std::filesystem::exists(status);
  if (error && !exists && is_stale_mount(error.value()))
    return degraded("its drive does not answer", false);
  if (exists && !std::filesystem::is_directory(status))
    return degraded("it is not a folder", false);
  if (!exists && std::filesystem::is_symlink(std::filesystem::symlink_status(folder, error)))
    return degraded("it is a link to something that is missing", false);
  if (!exists) {
    // Making it would begin in the nearest parent that is there; one below /mnt or /media that does
    // not exist is a drive that is away.
    Path const parent = existing_part(folder);
    struct stat found{};
    if (::stat(parent.c_str(), &found) != 0 || !S_ISDIR(found.st_mode))
      return degraded(parent.string() + " is not a folder", false);
    if (int const refused = try_to_write(parent); refused != 0)
      return degraded("it does not exist, and " + reason_of(refused, parent), false);
    return {FolderState::State::kAbsent, false, ""};
  }
  bool const readable = ::access(folder.c_str(), R_OK | X_OK) == 0;
  if (int const refused = try_to_write(folder); refused != 0)
    return degraded(reason_of(refused, folder), readable);
  if (!readable) return degraded("this user may not read it", false);
  return {FolderState::State::kReady, true, ""};
}

std::optional<Path> missing_drive(Path const& folder) {
  std::error_code error;
  for (std::string_view const top : {"/mnt", "/media", "/run/media", "/Volumes"}) {
    Path const parent(top);
    auto const [left, rest] =
        std::mismatch(parent.begin(), parent.end(), folder.begin(), folder.end());
    if (left != parent.end() || rest == folder.end()) continue;
    Path drive = parent / *rest;
    if (!std::filesystem::exists(drive, error)) return drive;
  }
  return std::nullopt;
}

std::string_view to_string(LockTruth truth) {
  switch (truth) {
    case LockTruth::kExcludes:
      return "exclude";
    case LockTruth::kGrantsEverybody:
      return "are granted to everybody";
    case LockTruth::kUnsupported:
      break;
  }
  return "are not supported";
}

Result<FolderAbilities> try_abilities(Path const& folder) {
  ASSIGN_OR_RETURN(TrialFolder const trial, TrialFolder::make(folder));
  FolderAbilities found;
  try_locks(trial, found);
  std::string const a = trial.in("a");
  std::string const b = trial.in("b");
  std::string const c = trial.in("c");
  ASSIGN_OR_RETURN(os::UniqueFd const file, os::open_file(a, O_RDWR | O_CREAT));
  RETURN_IF_ERROR(write_first(file.get()));
  found.syncs = ::fsync(file.get()) == 0 && os::sync_folder(trial.path()).has_value();
  found.symlinks = ::symlink("a", b.c_str()) == 0;
  ::unlink(b.c_str());
  found.hard_links = ::link(a.c_str(), b.c_str()) == 0;
  ::unlink(b.c_str());
  found.reflinks = can_reflink(file.get(), b);
  found.swaps = can_swap(a, b);
  ASSIGN_OR_RETURN(os::UniqueFd const other, os::open_file(c, O_RDWR | O_CREAT));
  found.renames = ::rename(a.c_str(), c.c_str()) == 0;
  return found;
}

}  // namespace homelab::cache
