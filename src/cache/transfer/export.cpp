// Writing an archive, to a pipe or under a name.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/hash.h"
#include "base/strings.h"
#include "cache/archive.h"
#include "cache/room.h"
#include "durable_step.h"
#include "members.h"
#include "open_blob.h"
#include "partial_state.h"
#include "tar_writer.h"

namespace homelab::cache {
namespace {

constexpr std::size_t kReadBytes = 1024UL * 1024;
/// The disk begins to write while more is read, so that the sync at the end has little to wait for.
constexpr std::uint64_t kPushBytes = 32UL * 1024 * 1024;

tl::unexpected<Error> changed(std::string const& what) {
  return fail(Code::kAborted, what + " changed while it was exported; export again");
}

class Exporter {
 public:
  Exporter(ExportPlan const& plan, TarWriter& tar, TransferControl const& control)
      : plan_(plan), tar_(tar), control_(control), total_(plan.manifest.content_bytes()) {}

  Status run() {
    RETURN_IF_ERROR(tar_.file(std::string(kArchiveManifestPath), to_archive_json(plan_.manifest)));
    for (std::size_t i = 0; i < plan_.manifest.repos.size(); ++i)
      RETURN_IF_ERROR(write_repo(plan_.manifest.repos[i], plan_.hub_folders.at(i)));
    return tar_.finish();
  }

 private:
  Status write_repo(ArchiveRepo const& repo, Path const& hub) {
    RepoFolder const folder(hub, repo.id, repo.type);
    ASSIGN_OR_RETURN(FolderAt const blobs, open_folder(folder.path() / "blobs"));
    for (auto const& blob : repo.blobs) RETURN_IF_ERROR(write_blob(repo, blob, blobs, hub));
    for (auto const& revision : repo.revisions)
      RETURN_IF_ERROR(write_revision(repo, revision, folder));
    for (auto const& ref : repo.refs)
      RETURN_IF_ERROR(tar_.file(ref_member(repo, ref.name), ref.commit.text()));
    return {};
  }

  Status write_revision(ArchiveRepo const& repo, ArchiveRevision const& revision,
                        RepoFolder const& folder) {
    for (auto const& file : revision.files)
      RETURN_IF_ERROR(tar_.link(link_member(repo, revision.commit, file.path),
                                link_text_of(file.path, file.blob)));
    if (revision.listing) {
      Path const path = folder.path() / "trees" / (revision.commit.text() + ".json");
      auto const text = read_regular_file(path, kMaxArchiveListingBytes);
      if (!text || sha256_hex(*text) != revision.listing->sha256) return changed(path.string());
      RETURN_IF_ERROR(tar_.file(listing_member(repo, revision.commit), *text));
    }
    for (auto const& path : revision.absent)
      RETURN_IF_ERROR(tar_.file(absent_member(repo, revision.commit, path), ""));
    return {};
  }

  Status write_blob(ArchiveRepo const& repo, ArchiveBlob const& blob, FolderAt const& blobs,
                    Path const& hub) {
    std::string const shown = blobs.in(blob.name.text());
    auto const entry = open_blob(blobs, blob.name, hub);
    if (!entry && entry.error().code == Code::kNotFound) return changed(shown);
    if (!entry) return fail(entry.error());
    if (entry->size_bytes != blob.size_bytes) return changed(shown);
    RETURN_IF_ERROR(tar_.begin_file(blob_member(repo, blob.name), blob.size_bytes));
    Hasher hasher = Hasher::sha256();
    for (std::uint64_t at = 0; at < blob.size_bytes;) {
      if (control_.cancelled()) return fail(Code::kCancelled, "stopped");
      std::size_t const wanted = std::min<std::uint64_t>(buffer_.size(), blob.size_bytes - at);
      ssize_t const got =
          ::pread(entry->file.get(), buffer_.data(), wanted, static_cast<off_t>(at));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno("read", shown, errno);
      if (got == 0) return changed(shown);
      auto const bytes = std::span(buffer_).first(static_cast<std::size_t>(got));
      hasher.update(bytes);
      RETURN_IF_ERROR(tar_.write(bytes));
      at += bytes.size();
      done_ += bytes.size();
      control_.on_progress(done_, total_);
    }
    if (hasher.finish() == blob.sha256) return {};
    return fail(Code::kDataLoss,
                fmt::format("{} is damaged; repair it (homelab-llm cache verify --repair) and "
                            "export again",
                            shown));
  }

  ExportPlan const& plan_;
  TarWriter& tar_;
  TransferControl const& control_;
  std::uint64_t const total_;
  std::uint64_t done_ = 0;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kReadBytes);
};

Status write_pipe(int pipe, std::span<std::byte const> bytes, TransferControl const& control) {
  while (!bytes.empty()) {
    if (control.cancelled()) return fail(Code::kCancelled, "stopped");
    ssize_t const written = ::write(pipe, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_errno("write", "the archive", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

/// Only a regular file is replaced: a device or a pipe of that name would be lost.
Status check_target(FolderAt const& folder, std::string const& name) {
  struct stat found{};
  if (::fstatat(folder.fd.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? Status() : fail_errno("look at", folder.in(name), errno);
  if (S_ISREG(found.st_mode)) return {};
  return fail(Code::kFailedPrecondition,
              folder.in(name) + " is no regular file; give another name, or - for a pipe");
}

/// A cache on the same file system gives its trash before the export fails.
Status make_room_beside(ExportPlan const& plan, int file) {
  struct stat mine{};
  if (::fstat(file, &mine) != 0) return fail_errno("look at", "the archive", errno);
  for (Path const& hub : plan.hub_folders) {
    auto const found = os::stat_target(hub);
    if (found && found->st_dev == mine.st_dev) return make_room(hub, plan.archive_bytes);
  }
  return {};
}

Status write_file(ExportPlan const& plan, int file, std::string const& shown,
                  TransferControl const& control) {
  durable_step("write archive");
  if (::ftruncate(file, 0) != 0) return fail_errno("empty", shown, errno);
  RETURN_IF_ERROR(make_room_beside(plan, file));
  RETURN_IF_ERROR(reserve(file, shown, plan.archive_bytes, plan.archive_bytes));
  std::uint64_t written = 0;
  std::uint64_t pushed = 0;
  TarWriter tar([&](std::span<std::byte const> bytes) -> Status {
    RETURN_IF_ERROR(os::write_all_at(file, bytes, written));
    written += bytes.size();
    if (written - pushed >= kPushBytes) {
      ::sync_file_range(file, static_cast<off_t>(pushed), static_cast<off_t>(written - pushed),
                        SYNC_FILE_RANGE_WRITE);
      pushed = written;
    }
    return {};
  });
  RETURN_IF_ERROR(Exporter(plan, tar, control).run());
  durable_step("sync archive");
  return os::sync_data(file);
}

}  // namespace

Status export_to_pipe(ExportPlan const& plan, int pipe, TransferControl const& control) {
  TarWriter tar([&](std::span<std::byte const> bytes) { return write_pipe(pipe, bytes, control); });
  return Exporter(plan, tar, control).run();
}

Status export_to_file(ExportPlan const& plan, Path const& file, TransferControl const& control) {
  std::string const name = file.filename().string();
  if (name.empty() || name == "." || name == "..")
    return fail(Code::kInvalidArgument, fmt::format("{} is no name of a file", file.string()));
  Path const parent = file.parent_path();
  ASSIGN_OR_RETURN(FolderAt const folder, open_folder(parent.empty() ? "." : parent));
  RETURN_IF_ERROR(check_target(folder, name));
  std::string const part = name + ".homelab.part";
  ASSIGN_OR_RETURN(os::UniqueFd const opened, open_own_file(folder, part, false));
  auto const written = [&]() -> Status {
    RETURN_IF_ERROR(write_file(plan, opened.get(), folder.in(part), control));
    return rename_at(folder, part, folder, name);
  }();
  if (!written) {
    ::unlinkat(folder.fd.get(), part.c_str(), 0);
    return written;
  }
  return sync(folder);
}

}  // namespace homelab::cache
