#include "open_blob.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "../durable_step.h"
#include "base/hash.h"

namespace homelab::cache::sharing {
namespace {

constexpr std::size_t kReadBytes = 128UL * 1024;  // stays in the processor's cache for hashing

bool is_same_time(struct timespec const& a, struct timespec const& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool has_access_list(int file) {
  return ::fgetxattr(file, "system.posix_acl_access", nullptr, 0) > 0;
}

/// One file can stand for both: it has one owner, one mode, one access list.
bool may_be_one_file(OpenBlob const& a, OpenBlob const& b) {
  return a.facts.st_uid == b.facts.st_uid && a.facts.st_gid == b.facts.st_gid &&
         a.facts.st_mode == b.facts.st_mode && !has_access_list(a.file.get()) &&
         !has_access_list(b.file.get());
}

bool means_no_reflink(int error) {
  return error == EOPNOTSUPP || error == ENOTTY || error == EXDEV || error == EINVAL ||
         error == ENOSYS || error == EPERM;
}

/// The blocks that a file begins with; empty where the file system does not tell.
std::vector<std::pair<std::uint64_t, std::uint64_t>> first_blocks(int file) {
  constexpr std::size_t kExtents = 64;
  std::vector<std::byte> memory(sizeof(struct fiemap) + kExtents * sizeof(struct fiemap_extent));
  struct fiemap request{};
  request.fm_length = FIEMAP_MAX_OFFSET;
  request.fm_extent_count = kExtents;
  std::memcpy(memory.data(), &request, sizeof request);
  if (::ioctl(file, FS_IOC_FIEMAP, memory.data()) != 0) return {};
  std::memcpy(&request, memory.data(), sizeof request);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> out;
  for (std::size_t i = 0; i < request.fm_mapped_extents; ++i) {
    struct fiemap_extent extent{};
    std::memcpy(&extent, memory.data() + sizeof request + i * sizeof extent, sizeof extent);
    // Not on the disk yet, or packed with other data: nothing can be concluded.
    if ((extent.fe_flags & FIEMAP_EXTENT_SHARED) == 0) return {};
    out.emplace_back(extent.fe_physical, extent.fe_length);
  }
  return out;
}

/// A clone of `kept` under `temporary`, with owner, mode and time of `old`; an errno of the clone,
/// 0 when it is there.
Result<int> make_clone(OpenBlob const& old, OpenBlob const& kept, std::string const& temporary) {
  durable_step("create clone");
  ASSIGN_OR_RETURN(
      os::UniqueFd const clone,
      os::open_at(old.blobs.fd.get(), temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  if (::ioctl(clone.get(), FICLONE, kept.file.get()) != 0) return errno;
  std::array<struct timespec, 2> const times = {old.facts.st_atim, old.facts.st_mtim};
  if (::fchown(clone.get(), old.facts.st_uid, old.facts.st_gid) != 0 ||
      ::fchmod(clone.get(), old.facts.st_mode & 07777) != 0 ||
      ::futimens(clone.get(), times.data()) != 0)
    return fail_errno("give the owner and mode of the old file to", old.blobs.in(temporary), errno);
  durable_step("sync clone");
  RETURN_IF_ERROR(os::sync_data(clone.get()));
  return 0;
}

Status differ() {
  return fail(Code::kFailedPrecondition,
              "owner, mode or access list differ, and this file system has no reflinks");
}

Status make_hard_link(OpenBlob const& old, OpenBlob const& kept, std::string const& temporary) {
  if (!may_be_one_file(old, kept)) return differ();
  durable_step("hard link");
  if (::linkat(kept.blobs.fd.get(), kept.name.text().c_str(), old.blobs.fd.get(), temporary.c_str(),
               0) != 0)
    return fail_errno("link", old.blobs.in(temporary), errno);
  struct stat made{};
  if (::fstatat(old.blobs.fd.get(), temporary.c_str(), &made, AT_SYMLINK_NOFOLLOW) != 0 ||
      made.st_ino != kept.facts.st_ino || made.st_dev != kept.facts.st_dev)
    return fail(Code::kAborted, "another program changed the blob meanwhile");
  return {};
}

Result<SharedBlob::How> make_new(OpenBlob const& old, OpenBlob const& kept,
                                 std::string const& temporary) {
  ASSIGN_OR_RETURN(int const refused, make_clone(old, kept, temporary));
  if (refused == 0) return SharedBlob::How::kReflink;
  if (!means_no_reflink(refused)) return fail_errno("reflink", old.blobs.in(temporary), refused);
  ::unlinkat(old.blobs.fd.get(), temporary.c_str(), 0);
  RETURN_IF_ERROR(make_hard_link(old, kept, temporary));
  return SharedBlob::How::kHardLink;
}

}  // namespace

bool OpenBlob::is_unchanged() const {
  struct stat now{};
  return ::fstatat(blobs.fd.get(), name.text().c_str(), &now, AT_SYMLINK_NOFOLLOW) == 0 &&
         now.st_dev == facts.st_dev && now.st_ino == facts.st_ino && now.st_size == facts.st_size &&
         is_same_time(now.st_mtim, facts.st_mtim) && is_same_time(now.st_ctim, facts.st_ctim);
}

Result<os::FileLock> OpenBlob::lock() const {
  Path const folder = repo_folder.parent_path() / ".locks" / repo_folder.filename();
  RETURN_IF_ERROR(os::make_folders(folder));
  ASSIGN_OR_RETURN(auto lock, os::FileLock::try_take(folder / (name.text() + ".lock")));
  if (!lock) return fail(Code::kAborted, "another program works on this blob right now");
  return std::move(*lock);
}

Result<OpenBlob> open_blob(Place const& place, BlobName const& name) {
  ASSIGN_OR_RETURN(FolderAt const hub, open_folder(place.repo_folder.parent_path()));
  ASSIGN_OR_RETURN(FolderAt const repo, open_sub(hub, place.repo_folder.filename().string()));
  ASSIGN_OR_RETURN(FolderAt blobs, open_sub(repo, "blobs"));
  struct stat facts{};
  if (::fstatat(blobs.fd.get(), name.text().c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno("look at", blobs.in(name.text()), errno);
  if (!S_ISREG(facts.st_mode))
    return fail(Code::kFailedPrecondition, "is no regular file any more");
  ASSIGN_OR_RETURN(os::UniqueFd file,
                   os::open_at(blobs.fd.get(), name.text(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (::fstat(file.get(), &facts) != 0) return fail_errno("look at", blobs.in(name.text()), errno);
  return OpenBlob{std::move(blobs), std::move(file), facts, place.repo_folder, name};
}

Result<bool> has_right_content(OpenBlob const& blob,
                               std::function<bool(std::uint64_t)> const& on_bytes) {
  Hasher hasher = Hasher::sha256();
  std::vector<std::byte> buffer(kReadBytes);
  for (std::uint64_t at = 0;;) {
    ssize_t const got =
        ::pread(blob.file.get(), buffer.data(), buffer.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read", blob.path().string(), errno);
    if (got == 0) break;
    auto const bytes = std::span(buffer).first(static_cast<std::size_t>(got));
    hasher.update(bytes);
    at += bytes.size();
    if (!on_bytes(bytes.size())) return fail(Code::kCancelled, "stopped");
  }
  return hasher.finish() == blob.name.text();
}

bool share_blocks(OpenBlob const& a, OpenBlob const& b) {
  auto const blocks = first_blocks(a.file.get());
  return !blocks.empty() && blocks == first_blocks(b.file.get());
}

Status check_replaceable(OpenBlob const& old, OpenBlob const& kept) {
  constexpr std::array<unsigned long, 3> kWithReflinks = {BTRFS_SUPER_MAGIC, XFS_SUPER_MAGIC,
                                                          OVERLAYFS_SUPER_MAGIC};
  struct statfs system{};
  if (may_be_one_file(old, kept) || ::fstatfs(kept.file.get(), &system) != 0) return {};
  bool const may_reflink =
      std::ranges::find(kWithReflinks, static_cast<unsigned long>(system.f_type)) !=
      kWithReflinks.end();
  return may_reflink ? Status() : differ();
}

Result<SharedBlob::How> replace(OpenBlob const& old, OpenBlob& kept) {
  std::string const temporary = fmt::format(".{}.homelab.{}.link", old.name.text(), random_hex(4));
  auto made = make_new(old, kept, temporary);
  Status renamed;
  if (made) renamed = rename_at(old.blobs, temporary, old.blobs, old.name.text());
  if (!made || !renamed) {
    ::unlinkat(old.blobs.fd.get(), temporary.c_str(), 0);
    return fail(made ? std::move(renamed).error() : std::move(made).error());
  }
  RETURN_IF_ERROR(sync(old.blobs));
  // The link just made changed the status time of the kept file.
  if (::fstat(kept.file.get(), &kept.facts) != 0)
    return fail_errno("look at", kept.path().string(), errno);
  return made;
}

}  // namespace homelab::cache::sharing
