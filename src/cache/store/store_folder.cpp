#include "store_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/hash.h"
#include "base/os/file_lock.h"
#include "base/strings.h"
#include "durable_step.h"
#include "folder_entries.h"
#include "shared_store.h"

namespace homelab::cache {
namespace {

constexpr char const* kMarker = ".huggingface-shared-blobs";
constexpr std::string_view kLayout = "1\n";
constexpr std::size_t kHashLength = 64;

bool is_hash(std::string_view text) {
  return text.size() == kHashLength && BlobName::parse(text).has_value();
}

/// What a writer leaves that was killed while it marked the store; Python removes them, too.
bool is_marker_temporary(std::string const& name) {
  return name.starts_with(std::string(kMarker) + ".") && name.ends_with(".tmp");
}

Result<FolderAt> open_store(Path const& hub_folder) {
  ASSIGN_OR_RETURN(FolderAt const hub, open_folder(hub_folder));
  return open_sub(hub, "blobs");
}

/// Python gives store folders the mode of the hub folder (hf-cache rules, §6).
Status take_mode_of(FolderAt const& hub, FolderAt const& folder) {
  struct stat found{};
  if (::fstat(hub.fd.get(), &found) != 0 || ::fchmod(folder.fd.get(), found.st_mode & 03777) != 0)
    return fail_errno("set the mode of", folder.shown, errno);
  return {};
}

Result<FolderAt> make_store(Path const& hub_folder) {
  StoreState const state = store_state(hub_folder);
  if (state == StoreState::kForeign)
    return fail(Code::kFailedPrecondition,
                (hub_folder / "blobs").string() +
                    " is no shared blob store (it has no marker), but one is needed there");
  ASSIGN_OR_RETURN(FolderAt const hub, open_folder(hub_folder));
  ASSIGN_OR_RETURN(FolderAt store, make_sub(hub, "blobs"));
  if (state == StoreState::kMarked) return store;
  RETURN_IF_ERROR(take_mode_of(hub, store));
  ASSIGN_OR_RETURN(auto const left, names_in(store));
  for (auto const& name : left)
    if (is_marker_temporary(name)) RETURN_IF_ERROR(remove_entry(store, name));
  RETURN_IF_ERROR(replace_file(
      {store, fmt::format("{}.{}.tmp", kMarker, random_hex(4)), store, kMarker}, kLayout));
  RETURN_IF_ERROR(sync(hub));
  return store;
}

Result<FolderAt> make_shelf(Path const& hub_folder, FolderAt const& store,
                            std::string const& hash) {
  bool made = false;
  ASSIGN_OR_RETURN(FolderAt shelf, make_sub(store, hash.substr(0, 2), &made));
  if (made) {
    ASSIGN_OR_RETURN(FolderAt const hub, open_folder(hub_folder));
    RETURN_IF_ERROR(take_mode_of(hub, shelf));
    RETURN_IF_ERROR(sync(store));
  }
  return shelf;
}

Result<os::FileLock> lock_payload(Path const& hub_folder, std::string const& hash) {
  return os::FileLock::take(payload_path(hub_folder, hash).string() + ".lock",
                            [] { return false; });
}

}  // namespace

StoreState store_state(Path const& hub_folder) {
  auto const hub = open_folder(hub_folder);
  if (!hub) return StoreState::kNone;
  if (!look_at(*hub, "blobs")) return StoreState::kNone;
  auto const store = open_sub(*hub, "blobs");
  if (!store) return StoreState::kForeign;
  auto const marker = look_at(*store, kMarker);
  if (marker && S_ISREG(marker->st_mode)) {
    auto const text = read_regular_file(Path(store->shown) / kMarker, 64);
    return text && *text == kLayout ? StoreState::kMarked : StoreState::kForeign;
  }
  auto const names = names_in(*store);
  return names && std::ranges::all_of(*names, is_marker_temporary) ? StoreState::kEmpty
                                                                   : StoreState::kForeign;
}

std::optional<std::string> payload_of_link(std::string_view text, Path const& hub_folder) {
  // Lexically, as if from <hub>/<repo>/blobs.
  Path target(text);
  if (target.is_relative()) target = hub_folder / "repo" / "blobs" / target;
  target = target.lexically_normal();
  std::string hash = target.filename().string();
  if (!is_hash(hash) || payload_path(hub_folder.lexically_normal(), hash) != target)
    return std::nullopt;
  return hash;
}

std::string payload_link(std::string_view hash) {
  return fmt::format("../../blobs/{}/{}", hash.substr(0, 2), hash);
}

Path payload_path(Path const& hub_folder, std::string_view hash) {
  return hub_folder / "blobs" / hash.substr(0, 2) / hash;
}

Status bring_payload(Path const& source_hub, Path const& target_hub, std::string const& hash) {
  ASSIGN_OR_RETURN(FolderAt const store, make_store(target_hub));
  ASSIGN_OR_RETURN(FolderAt const shelf, make_shelf(target_hub, store, hash));
  ASSIGN_OR_RETURN(os::FileLock const lock, lock_payload(target_hub, hash));
  auto const there = look_at(shelf, hash);
  if (there && S_ISREG(there->st_mode)) return {};
  ASSIGN_OR_RETURN(FolderAt const source, open_store(source_hub));
  ASSIGN_OR_RETURN(FolderAt const source_shelf, open_sub(source, hash.substr(0, 2)));
  auto const payload = look_at(source_shelf, hash);
  if (!payload || !S_ISREG(payload->st_mode))
    return fail(Code::kNotFound, source_shelf.in(hash) + " is missing");
  durable_step("link payload");
  if (::linkat(source_shelf.fd.get(), hash.c_str(), shelf.fd.get(), hash.c_str(), 0) != 0) {
    return fail(Code::kFailedPrecondition,
                fmt::format("{} cannot get a second name in {}: {}", source_shelf.in(hash),
                            shelf.shown, fail_errno("link", hash, errno).value().message));
  }
  return sync(shelf);
}

Result<std::vector<std::string>> payloads(Path const& hub_folder) {
  std::vector<std::string> all;
  ASSIGN_OR_RETURN(FolderAt const store, open_store(hub_folder));
  ASSIGN_OR_RETURN(auto const shelves, names_in(store));
  for (auto const& name : shelves) {
    auto const shelf = open_sub(store, name);
    if (!shelf) continue;
    ASSIGN_OR_RETURN(auto const files, names_in(*shelf));
    std::ranges::copy_if(files, std::back_inserter(all), [&](std::string const& file) {
      return is_hash(file) && file.starts_with(name);
    });
  }
  return all;
}

Status note_reference(Path const& hub_folder, std::string const& hash, std::string const& blob) {
  ASSIGN_OR_RETURN(FolderAt const hub, open_folder(hub_folder));
  auto const nothing_more = [](FolderAt const&, std::string const&) { return Status(); };
  return with_reference(hub, fmt::format("blobs/{}/{}", hash.substr(0, 2), hash), blob,
                        nothing_more);
}

}  // namespace homelab::cache
