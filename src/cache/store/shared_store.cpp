#include "shared_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/strings.h"
#include "cache/names.h"
#include "durable_step.h"
#include "walk_at.h"

namespace homelab::cache {
namespace {

using Path = std::filesystem::path;

constexpr std::string_view kMarker = ".huggingface-shared-blobs";
constexpr std::size_t kMaxManifestBytes = 64 * 1024 * 1024;

/// A regular file that is no link.
Result<std::string> read_own(FolderAt const& folder, std::string const& name) {
  ASSIGN_OR_RETURN(auto const file,
                   os::open_at(folder.fd.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  struct stat found{};
  if (::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode) ||
      static_cast<std::uint64_t>(found.st_size) > kMaxManifestBytes)
    return fail(Code::kFailedPrecondition, folder.in(name) + " is no small regular file");
  std::string text(static_cast<std::size_t>(found.st_size), '\0');
  ssize_t const got = ::pread(file.get(), text.data(), text.size(), 0);
  if (got != static_cast<ssize_t>(text.size()))
    return fail(Code::kUnavailable, folder.in(name) + " changes while it is read");
  return text;
}

bool is_payload_path(std::string const& path) {
  auto const parts = split(path, '/');
  if (parts.size() != 3 || parts[0] != "blobs") return false;
  auto const hash = BlobName::parse(parts[2]);
  return hash && hash->is_sha256() && parts[1] == parts[2].substr(0, 2);
}

/// The folder <hub>/blobs/<hh>, only of a store that is marked as one.
Result<FolderAt> open_prefix(FolderAt const& hub, std::string const& payload) {
  ASSIGN_OR_RETURN(FolderAt const store, open_sub(hub, "blobs"));
  auto const marker = read_own(store, std::string(kMarker));
  if (!marker || *marker != "1\n")
    return fail(Code::kFailedPrecondition, store.shown + " is not marked as a shared store");
  return open_below(hub, split_name(payload).folder);
}

/// A manifest line that may be believed: "<repo folder>/blobs/<name>".
bool is_reference(std::string const& line) {
  auto const parts = split(line, '/');
  if (parts.size() != 3 || parts[1] != "blobs") return false;
  return !parts[0].empty() && parts[0] != "." && parts[0] != ".." && !parts[2].empty() &&
         parts[2] != "." && parts[2] != "..";
}

std::set<std::string> valid_lines(FolderAt const& hub, std::string const& text,
                                  std::string const& payload) {
  std::set<std::string> out;
  for (auto const part : split(text, '\n')) {
    std::string line(part);
    if (is_reference(line) && payload_of(hub, line) == payload) out.insert(std::move(line));
  }
  return out;
}

Status rewrite_manifest(FolderAt const& prefix, std::string const& name,
                        std::set<std::string> const& lines) {
  std::string text;
  for (std::string const& line : lines) text += line + "\n";
  RETURN_IF_ERROR(replace_file({prefix, "." + name + ".homelab.part", prefix, name}, text));
  // Every user of the cache appends to it.
  [[maybe_unused]] int const ignored = ::fchmodat(prefix.fd.get(), name.c_str(), 0666, 0);
  return {};
}

Path lock_path(FolderAt const& prefix, std::string const& hash) {
  return Path(prefix.in(hash + ".lock"));
}

Status append_line(FolderAt const& prefix, std::string const& name, std::string const& line) {
  durable_step("append reference");
  os::UniqueFd const file(::openat(prefix.fd.get(), name.c_str(),
                                   O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file) return fail_errno("open", prefix.in(name), errno);
  std::string const text = line + "\n";
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno("append to", prefix.in(name), errno);
  return os::sync_data(file.get());
}

}  // namespace

std::optional<std::string> payload_of(FolderAt const& hub, std::string const& blob_path) {
  auto const [folder, name] = split_name(blob_path);
  auto const here = open_below(hub, folder);
  if (!here) return std::nullopt;
  auto const text = link_text(*here, name);
  if (!text) return std::nullopt;
  Path target = *text;
  if (target.is_absolute()) {
    std::error_code error;
    Path const root = std::filesystem::weakly_canonical(hub.shown, error);
    if (error) return std::nullopt;
    target = target.lexically_normal().lexically_relative(root);
  } else {
    target = (Path(folder) / target).lexically_normal();
  }
  std::string path = target.string();
  if (!is_payload_path(path)) return std::nullopt;
  return path;
}

std::optional<std::set<std::string>> references_of(FolderAt const& hub,
                                                   std::string const& payload) {
  auto const prefix = open_prefix(hub, payload);
  if (!prefix) return std::nullopt;
  auto const text = read_own(*prefix, split_name(payload).name + ".refs");
  if (!text) return std::nullopt;
  return valid_lines(hub, *text, payload);
}

Result<Swept> sweep_payload(
    FolderAt const& hub, std::string const& payload,
    std::function<Status(FolderAt const&, std::string const&)> const& remove) {
  ASSIGN_OR_RETURN(FolderAt const prefix, open_prefix(hub, payload));
  std::string const hash = split_name(payload).name;
  std::string const manifest = hash + ".refs";
  if (!stands_at(prefix, hash)) return Swept::kGone;
  ASSIGN_OR_RETURN(auto const lock, os::FileLock::try_take(lock_path(prefix, hash)));
  if (!lock) return Swept::kBusy;
  auto const text = read_own(prefix, manifest);
  if (!text) return Swept::kUnknownUsers;
  auto const left = valid_lines(hub, *text, payload);
  if (!left.empty()) {
    RETURN_IF_ERROR(rewrite_manifest(prefix, manifest, left));
    return Swept::kStillUsed;
  }
  RETURN_IF_ERROR(remove(prefix, hash));
  durable_step("remove manifest");
  if (::unlinkat(prefix.fd.get(), manifest.c_str(), 0) != 0 && errno != ENOENT)
    return fail_errno("remove", prefix.in(manifest), errno);
  RETURN_IF_ERROR(sync(prefix));
  return Swept::kRemoved;
}

Status with_reference(FolderAt const& hub, std::string const& payload, std::string const& blob_path,
                      std::function<Status(FolderAt const&, std::string const&)> const& place) {
  ASSIGN_OR_RETURN(FolderAt const prefix, open_prefix(hub, payload));
  std::string const hash = split_name(payload).name;
  ASSIGN_OR_RETURN(auto const lock, os::FileLock::take(lock_path(prefix, hash), nullptr));
  RETURN_IF_ERROR(append_line(prefix, hash + ".refs", blob_path));
  return place(prefix, hash);
}

}  // namespace homelab::cache
