#include "quarantine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/hash.h"
#include "base/os/file_lock.h"
#include "cache/verify.h"
#include "durable_step.h"
#include "folder_at.h"
#include "own_folder.h"

namespace homelab::cache {
namespace {

Path quarantine_folder(Path const& repo_folder) {
  return own_folder(repo_folder.parent_path()) / "quarantine" / repo_folder.filename();
}

Result<os::FileLock> lock_blob(Path const& repo_folder, BlobName const& name) {
  Path const locks = repo_folder.parent_path() / ".locks" / repo_folder.filename();
  RETURN_IF_ERROR(os::make_folders(locks));
  ASSIGN_OR_RETURN(auto lock, os::FileLock::try_take(locks / (name.text() + ".lock")));
  if (!lock)
    return fail(Code::kAborted, "a download holds the lock of " + name.text() + "; check again");
  return std::move(*lock);
}

/// The content of blobs/<name> is still what was judged.
bool is_still(FolderAt const& blobs, BlobName const& name, FileFacts const& judged, int flags) {
  struct stat found{};
  return ::fstatat(blobs.fd.get(), name.text().c_str(), &found, flags) == 0 &&
         facts_of(found) == judged;
}

/// A program that takes no lock may have put another file there in the last instant.
bool is_same_file(FolderAt const& folder, std::string const& name, FileFacts const& judged) {
  struct stat found{};
  return ::fstatat(folder.fd.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 &&
         found.st_ino == judged.inode;
}

tl::unexpected<Error> changed(FolderAt const& blobs, BlobName const& name) {
  return fail(Code::kAborted, blobs.in(name.text()) + " was replaced meanwhile; check again");
}

}  // namespace

Result<Quarantined> quarantine_blob(Path const& repo_folder, BlobName const& name,
                                    FileFacts const& judged) {
  ASSIGN_OR_RETURN(auto const lock, lock_blob(repo_folder, name));
  ASSIGN_OR_RETURN(FolderAt const repo, open_folder(repo_folder));
  ASSIGN_OR_RETURN(FolderAt const blobs, open_sub(repo, "blobs"));
  struct stat found{};
  if (::fstatat(blobs.fd.get(), name.text().c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0 ||
      !is_still(blobs, name, judged, 0))
    return changed(blobs, name);
  if (S_ISLNK(found.st_mode)) {
    durable_step("remove store link");
    if (::unlinkat(blobs.fd.get(), name.text().c_str(), 0) != 0)
      return fail_errno("remove link", blobs.in(name.text()), errno);
    RETURN_IF_ERROR(sync(blobs));
    return Quarantined{std::nullopt};
  }
  ASSIGN_OR_RETURN(
      FolderAt const cell,
      make_own_folder(repo_folder.parent_path(), {"quarantine", repo_folder.filename().string()}));
  std::string const new_name = fmt::format("{}.{}", name.text(), random_hex(4));
  RETURN_IF_ERROR(rename_at(blobs, name.text(), cell, new_name));
  if (!is_same_file(cell, new_name, judged)) {
    // Back with it; where a third file came meanwhile, this one is a copy of the same content.
    ::linkat(cell.fd.get(), new_name.c_str(), blobs.fd.get(), name.text().c_str(), 0);
    ::unlinkat(cell.fd.get(), new_name.c_str(), 0);
    return changed(blobs, name);
  }
  RETURN_IF_ERROR(sync(cell));
  RETURN_IF_ERROR(sync(blobs));
  return Quarantined{quarantine_folder(repo_folder) / new_name};
}

Result<std::vector<Path>> quarantined_files(Path const& repo_folder, BlobName const& name) {
  std::vector<Path> files;
  std::error_code error;
  auto entries = std::filesystem::directory_iterator(quarantine_folder(repo_folder), error);
  if (error == std::errc::no_such_file_or_directory) return files;
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error))
    if (entries->path().filename().string().starts_with(name.text() + "."))
      files.push_back(entries->path());
  if (error)
    return fail_errno("read folder", quarantine_folder(repo_folder).string(), error.value());
  std::ranges::sort(files);
  return files;
}

Result<std::uint64_t> discard_quarantined(Path const& repo_folder, BlobName const& name) {
  struct stat found{};
  if (::stat((repo_folder / "blobs" / name.text()).c_str(), &found) != 0)
    return fail(Code::kFailedPrecondition,
                fmt::format("{} has no content yet; the quarantined copy is kept", name.text()));
  ASSIGN_OR_RETURN(auto const files, quarantined_files(repo_folder, name));
  ASSIGN_OR_RETURN(
      FolderAt const cell,
      make_own_folder(repo_folder.parent_path(), {"quarantine", repo_folder.filename().string()}));
  std::uint64_t freed = 0;
  for (auto const& file : files) {
    std::string const last = file.filename().string();
    if (::fstatat(cell.fd.get(), last.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) continue;
    durable_step("remove quarantined blob");
    if (::unlinkat(cell.fd.get(), last.c_str(), 0) != 0)
      return fail_errno("remove", file.string(), errno);
    freed += static_cast<std::uint64_t>(found.st_blocks) * 512;
  }
  return freed;
}

}  // namespace homelab::cache
