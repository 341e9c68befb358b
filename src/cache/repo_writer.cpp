#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "durable_step.h"
#include "partial_state.h"

namespace homelab::cache {
namespace {

/// Files of one batch that are open at the same time; bounds descriptors, not speed.
constexpr std::size_t kBatchFiles = 128;

constexpr std::string_view kCacheTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag created by huggingface_hub.\n"
    "# For information about cache directory tags, see:\n"
    "#\thttps://bford.info/cachedir/\n";

/// Tells backup programs that this folder can be fetched again. Never rewritten; failing to write
/// it is no error.
void write_cache_tag(Path const& hub_folder) {
  auto const file =
      os::open_file(hub_folder / "CACHEDIR.TAG", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
  if (file && !os::write_all_at(file->get(), std::as_bytes(std::span(kCacheTag)), 0))
    ::unlink((hub_folder / "CACHEDIR.TAG").c_str());
}

Result<FolderAt> open_blobs(RepoFolder const& folder) {
  ASSIGN_OR_RETURN(FolderAt const repo, open_folder(folder.path()));
  return open_sub(repo, "blobs");
}

bool has_file(FolderAt const& blobs, BlobName const& name, std::uint64_t size_bytes) {
  // Opening instead of only looking: a blob that this user cannot read is as good as none.
  os::UniqueFd const file(
      ::openat(blobs.fd.get(), name.text().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat found{};
  return file && ::fstat(file.get(), &found) == 0 && S_ISREG(found.st_mode) &&
         static_cast<std::uint64_t>(found.st_size) == size_bytes;
}

tl::unexpected<Error> wrong_hash(BlobName const& name, std::string const& got) {
  return fail(Code::kDataLoss,
              fmt::format("content of {} has the {} {} instead; it was thrown away", name.text(),
                          name.is_sha256() ? "SHA-256" : "git object id", got));
}

struct Content {
  BlobName name;
  std::string_view bytes;
};

/// A small blob under its private name, complete but not yet synced.
struct Staged {
  os::UniqueFd file;
  std::string part_name;
  std::string blob_name;
};

Status check(Content const& content) {
  Hasher hasher = hasher_for(content.name, content.bytes.size());
  hasher.update(content.bytes);
  auto const got = hasher.finish();
  if (got != content.name.text()) return wrong_hash(content.name, got);
  return {};
}

Result<Staged> stage(FolderAt const& blobs, Content const& content) {
  std::string part = part_name_of(content.name);
  auto file = open_own_file(blobs, part, false);
  if (!file && file.error().code == Code::kAborted) {
    // Somebody else downloads the same blob without the etag lock. Both may finish; the bytes are
    // the same.
    part = fmt::format("{}.homelab.{}.part", content.name.text(), random_hex(4));
    file = open_own_file(blobs, part, false);
  }
  if (!file) return fail(std::move(file).error());
  Staged staged{std::move(*file), std::move(part), content.name.text()};
  durable_step("write blob");
  Status written;
  if (::ftruncate(staged.file.get(), 0) != 0) {
    written = fail_errno("empty", blobs.in(staged.part_name), errno);
  } else {
    written = os::write_all_at(staged.file.get(), std::as_bytes(std::span(content.bytes)), 0);
  }
  if (written) return staged;
  ::unlinkat(blobs.fd.get(), staged.part_name.c_str(), 0);
  return fail(std::move(written).error().in(blobs.in(staged.part_name)));
}

/// Syncs all, then renames all. One journal commit serves the whole batch: the writes are started
/// for every file before the first wait. 1,000 files of 10 KiB on ext4: 110 ms this way, 400 ms
/// with write + fdatasync one by one, 80 ms with 16 threads, 30 ms with syncfs - which also waits
/// for everybody else's gigabytes, so it is not used.
Status publish(FolderAt const& blobs, std::vector<Staged> const& batch) {
  for (auto const& staged : batch)
    ::sync_file_range(staged.file.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
  for (auto const& staged : batch) {
    durable_step("sync blob");
    RETURN_IF_ERROR(os::sync_data(staged.file.get()));
  }
  for (auto const& staged : batch)
    RETURN_IF_ERROR(rename_at(blobs, staged.part_name, blobs, staged.blob_name));
  return {};
}

Status put_batch(FolderAt const& blobs, std::span<Content const> contents) {
  std::vector<Staged> batch;
  std::set<BlobName> names;
  auto const work = [&]() -> Status {
    for (auto const& content : contents) {
      if (!names.insert(content.name).second || has_file(blobs, content.name, content.bytes.size()))
        continue;
      ASSIGN_OR_RETURN(Staged staged, stage(blobs, content));
      batch.push_back(std::move(staged));
    }
    return publish(blobs, batch);
  };
  auto done = work();
  if (!done) {
    // Those already renamed are no longer under their private names.
    for (auto const& staged : batch) ::unlinkat(blobs.fd.get(), staged.part_name.c_str(), 0);
  }
  return done;
}

Status put_all(RepoFolder const& folder, std::span<Content const> contents, bool sync_folder_now) {
  for (auto const& content : contents) RETURN_IF_ERROR(check(content));
  ASSIGN_OR_RETURN(FolderAt const blobs, open_blobs(folder));
  while (!contents.empty()) {
    auto const part = contents.first(std::min(kBatchFiles, contents.size()));
    RETURN_IF_ERROR(put_batch(blobs, part));
    contents = contents.subspan(part.size());
  }
  return sync_folder_now ? sync(blobs) : Status();
}

}  // namespace

RepoWriter::RepoWriter(Path hub_folder, RepoFolder folder)
    : hub_folder_(std::move(hub_folder)), folder_(std::move(folder)) {}

Result<RepoWriter> RepoWriter::open(Path hub_folder, RepoId id) {
  RepoFolder folder(hub_folder, std::move(id));
  return open_repo(std::move(hub_folder), std::move(folder));
}

Result<RepoWriter> RepoWriter::open_repo(Path hub_folder, RepoFolder folder) {
  RETURN_IF_ERROR(os::make_folders(hub_folder));
  write_cache_tag(hub_folder);
  // .locks and the repository folder itself may be links made by the cache's owner (another drive,
  // a bridged root).
  RETURN_IF_ERROR(os::make_folders(hub_folder / ".locks" / folder.name()));
  std::error_code error;
  bool const is_new = !std::filesystem::exists(folder.path(), error);
  durable_step("make repository folder");
  RETURN_IF_ERROR(os::make_folders(folder.path()));
  if (is_new) RETURN_IF_ERROR(os::sync_folder(hub_folder));
  ASSIGN_OR_RETURN(FolderAt const repo, open_folder(folder.path()));
  bool made_blobs = false;
  RETURN_IF_ERROR(make_sub(repo, "blobs", &made_blobs));
  if (made_blobs) RETURN_IF_ERROR(sync(repo));
  return RepoWriter(std::move(hub_folder), std::move(folder));
}

bool RepoWriter::has_blob(BlobName const& name, std::uint64_t size_bytes) const {
  auto const blobs = open_blobs(folder_);
  return blobs && has_file(*blobs, name, size_bytes);
}

Result<os::FileLock> RepoWriter::lock(BlobName const& name,
                                      std::function<bool()> const& give_up) const {
  Path const path = folder_.lock_path(name);
  auto lock = os::FileLock::take(path, give_up);
  if (lock || lock.error().code != Code::kNotFound) return lock;
  // Somebody cleaned up .locks meanwhile.
  RETURN_IF_ERROR(os::make_folders(path.parent_path()));
  return os::FileLock::take(path, give_up);
}

std::uint64_t RepoWriter::partial_disk_bytes(BlobName const& name) const {
  auto const found = os::stat_link(folder_.path() / "blobs" / part_name_of(name));
  // st_blocks counts in units of 512 bytes, whatever the file system's own block is.
  return found ? static_cast<std::uint64_t>(found->st_blocks) * 512 : 0;
}

Result<PartialBlob> RepoWriter::open_partial(BlobName const& name, std::uint64_t size_bytes) const {
  ASSIGN_OR_RETURN(FolderAt blobs, open_blobs(folder_));
  std::string part = part_name_of(name);
  std::string const shown = blobs.in(part);
  ASSIGN_OR_RETURN(os::UniqueFd file, open_own_file(blobs, part, false));
  struct stat found{};
  if (::fstat(file.get(), &found) != 0) return fail_errno("look at", shown, errno);
  auto length = static_cast<std::uint64_t>(found.st_size);
  if (length > size_bytes) {
    durable_step("empty partial");
    if (::ftruncate(file.get(), 0) != 0) return fail_errno("empty", shown, errno);
    length = 0;
  }
  if (auto reserved = reserve(file.get(), shown, size_bytes, size_bytes - length); !reserved) {
    if (length == 0) ::unlinkat(blobs.fd.get(), part.c_str(), 0);
    return fail(std::move(reserved).error());
  }
  Hasher hasher = hasher_for(name, size_bytes);
  RETURN_IF_ERROR(hash_existing(file.get(), length, hasher));
  return PartialBlob(std::make_unique<PartialBlob::State>(
      PartialBlob::State{std::move(blobs), std::move(file), std::move(part), name, size_bytes,
                         length, length, std::move(hasher)}));
}

Status RepoWriter::commit(PartialBlob&& partial, bool sync_folder_now) const {
  auto const state = std::move(partial.state_);
  std::string const shown = state->blobs.in(state->part_name);
  if (state->written != state->expected) {
    return fail(Code::kDataLoss,
                fmt::format("{}: {} of {} bytes are there; the rest must be fetched first", shown,
                            state->written, state->expected));
  }
  auto const remove = [&] {
    durable_step("remove partial");
    ::unlinkat(state->blobs.fd.get(), state->part_name.c_str(), 0);
  };
  auto const got = state->hasher.finish();
  if (got != state->blob_name.text()) {
    remove();
    return wrong_hash(state->blob_name, got);
  }
  if (has_file(state->blobs, state->blob_name, state->expected)) {
    remove();
    return {};
  }
  durable_step("sync blob");
  if (auto synced = os::sync_data(state->file.get()); !synced) {
    // After a failed sync the kernel may call pages clean that never reached the disk.
    remove();
    return fail(std::move(synced).error().in(shown));
  }
  RETURN_IF_ERROR(rename_at(state->blobs, state->part_name, state->blobs, state->blob_name.text()));
  return sync_folder_now ? sync(state->blobs) : Status();
}

Status RepoWriter::put_blob(BlobName const& name, std::span<std::byte const> content,
                            bool sync_folder_now) const {
  Content const one{name, {reinterpret_cast<char const*>(content.data()), content.size()}};
  return put_all(folder_, std::span(&one, 1), sync_folder_now);
}

Status RepoWriter::put_blobs(std::span<SmallBlob const> batch) const {
  std::vector<Content> contents;
  contents.reserve(batch.size());
  for (auto const& blob : batch) contents.push_back({blob.name, blob.content});
  return put_all(folder_, contents, true);
}

Status RepoWriter::sync_blobs() const {
  ASSIGN_OR_RETURN(FolderAt const blobs, open_blobs(folder_));
  return sync(blobs);
}

}  // namespace homelab::cache
