// Opening the content of one snapshot entry without ever leaving the hub folder.
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "base/strings.h"
#include "cache/hub_folder.h"
#include "folder_at.h"
#include "open_blob.h"

namespace homelab::cache {
namespace {

/// Text of a link; nullopt when `name` is no link.
Result<std::optional<std::string>> read_link(FolderAt const& folder, std::string const& name) {
  std::array<char, PATH_MAX> text{};
  ssize_t const length = ::readlinkat(folder.fd.get(), name.c_str(), text.data(), text.size());
  if (length >= 0) return std::string(text.data(), static_cast<std::size_t>(length));
  if (errno == EINVAL) return std::optional<std::string>();
  return fail_errno("look at", folder.in(name), errno);
}

tl::unexpected<Error> leads_out(FolderAt const& folder, std::string const& name) {
  return fail(Code::kFailedPrecondition,
              folder.in(name) + " is a link that leads out of the cache; it is not handed out");
}

/// Where a link in `folder` leads, lexically.
Path target_of(FolderAt const& folder, std::string const& text) {
  Path const target(text);
  return (target.is_absolute() ? target : Path(folder.shown) / target).lexically_normal();
}

Result<OpenEntry> open_regular(FolderAt const& folder, std::string const& name,
                               std::optional<BlobName> blob) {
  ASSIGN_OR_RETURN(os::UniqueFd file,
                   os::open_at(folder.fd.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat found{};
  if (::fstat(file.get(), &found) != 0) return fail_errno("look at", folder.in(name), errno);
  if (!S_ISREG(found.st_mode))
    return fail(Code::kFailedPrecondition, folder.in(name) + " is not a regular file");
  return OpenEntry{std::move(file), static_cast<std::uint64_t>(found.st_size), std::move(blob)};
}

/// <hub>/blobs/<two hex>/<64 hex>, and nothing else.
Result<OpenEntry> open_stored(FolderAt const& blobs, BlobName const& name, Path const& hub_folder,
                              std::string const& link_text) {
  Path const target = target_of(blobs, link_text);
  std::string const payload = target.filename().string();
  std::string const prefix = target.parent_path().filename().string();
  bool const in_store =
      BlobName::parse(payload) && payload.starts_with(prefix) &&
      target.parent_path().parent_path() == (hub_folder / "blobs").lexically_normal();
  if (!in_store) return leads_out(blobs, name.text());
  ASSIGN_OR_RETURN(FolderAt const hub, open_folder(hub_folder));
  ASSIGN_OR_RETURN(FolderAt const store, open_sub(hub, "blobs"));
  ASSIGN_OR_RETURN(FolderAt const shelf, open_sub(store, prefix));
  return open_regular(shelf, payload, name);
}

}  // namespace

Result<OpenEntry> open_blob(FolderAt const& blobs, BlobName const& name, Path const& hub_folder) {
  ASSIGN_OR_RETURN(auto const stored, read_link(blobs, name.text()));
  if (!stored) return open_regular(blobs, name.text(), name);
  return open_stored(blobs, name, hub_folder, *stored);
}

Result<OpenEntry> open_below(FolderAt const& start, std::string_view path) {
  auto segments = split(path, '/');
  std::string const name(segments.back());
  segments.pop_back();
  FolderAt here;
  FolderAt const* parent = &start;
  for (auto const segment : segments) {
    ASSIGN_OR_RETURN(here, open_sub(*parent, std::string(segment)));
    parent = &here;
  }
  return open_regular(*parent, name, std::nullopt);
}

Result<OpenEntry> RepoFolder::open_entry(CommitHash const& commit,
                                         RepoPath const& path_in_repo) const {
  ASSIGN_OR_RETURN(FolderAt const repo, open_folder(path()));
  ASSIGN_OR_RETURN(FolderAt const snapshots, open_sub(repo, "snapshots"));
  ASSIGN_OR_RETURN(FolderAt here, open_sub(snapshots, commit.text()));
  auto segments = split(path_in_repo.text(), '/');
  std::string const name(segments.back());
  segments.pop_back();
  for (auto const segment : segments) {
    ASSIGN_OR_RETURN(here, open_sub(here, std::string(segment)));
  }
  ASSIGN_OR_RETURN(auto const link, read_link(here, name));
  if (!link) return open_regular(here, name, std::nullopt);
  Path const target = target_of(here, *link);
  auto blob = BlobName::parse(target.filename().string());
  if (!blob || target.parent_path() != (path() / "blobs").lexically_normal())
    return leads_out(here, name);
  ASSIGN_OR_RETURN(FolderAt const blobs, open_sub(repo, "blobs"));
  return open_blob(blobs, *blob, hub_folder_);
}

bool RepoFolder::is_marked_absent(CommitHash const& commit, RepoPath const& path_in_repo) const {
  std::error_code error;
  return std::filesystem::is_regular_file(
      path() / ".no_exist" / commit.text() / path_in_repo.text(), error);
}

}  // namespace homelab::cache
