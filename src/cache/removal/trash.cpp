// Listing, restoring and emptying the trash.
#include "cache/trash.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <functional>
#include <set>
#include <utility>

#include "../store/shared_store.h"
#include "cache/bridge.h"
#include "trash_record.h"
#include "walk_at.h"

namespace homelab::cache {
namespace {

constexpr std::int64_t kNsPerS = 1'000'000'000;

/// What makes things visible comes last.
constexpr std::array kRestoreOrder{
    RemovalKind::kFolder,   RemovalKind::kPayload,  RemovalKind::kBlob,
    RemovalKind::kLeftover, RemovalKind::kSnapshot, RemovalKind::kEntry,
    RemovalKind::kTree,     RemovalKind::kAbsences, RemovalKind::kRef};

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::optional<std::string> small_text(FolderAt const& folder, std::string const& name) {
  if (auto text = link_text(folder, name)) return text;
  auto const file = os::open_at(folder.fd.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat found{};
  constexpr off_t kSmall = 4096;
  if (!file || ::fstat(file->get(), &found) != 0 || !S_ISREG(found.st_mode) ||
      found.st_size > kSmall)
    return std::nullopt;
  std::string text(static_cast<std::size_t>(found.st_size), '\0');
  if (::pread(file->get(), text.data(), text.size(), 0) != found.st_size) return std::nullopt;
  return text;
}

/// Where a link in the record, once it stands at `path` again, leads in the shared store.
std::optional<std::string> payload_of_item(OpenRecord const& record, std::size_t index,
                                           std::string const& path) {
  auto const text = link_text(record.folder(), std::to_string(index));
  if (!text) return std::nullopt;
  std::string target = (Path(path).parent_path() / *text).lexically_normal().string();
  return target.starts_with("blobs/") ? std::optional(target) : std::nullopt;
}

class Restoration {
 public:
  Restoration(FolderAt hub, OpenRecord record, TrashManifest manifest)
      : hub_(std::move(hub)), record_(std::move(record)), manifest_(std::move(manifest)) {
    for (std::size_t i = 0; i < manifest_.items.size(); ++i)
      if (record_.holds(i)) held_.insert(manifest_.items[i].path);
  }

  Result<Restored> run() && {
    for (std::size_t i = 0; i < manifest_.items.size(); ++i)
      if (record_.holds(i)) RETURN_IF_ERROR(check(manifest_.items[i], i));
    for (RemovalKind const kind : kRestoreOrder) {
      for (std::size_t i = 0; i < manifest_.items.size(); ++i)
        if (manifest_.items[i].kind == kind && record_.holds(i))
          RETURN_IF_ERROR(restore(manifest_.items[i], i));
      RETURN_IF_ERROR(sync_touched());
    }
    out_.id = record_.id();
    RETURN_IF_ERROR(std::move(record_).destroy());
    return std::move(out_);
  }

 private:
  /// Refuses before anything was moved.
  Status check(TrashItem const& item, std::size_t index) {
    RETURN_IF_ERROR(check_payload(item, index));
    RETURN_IF_ERROR(check_content(item, index));
    auto const [folder, name] = split_name(item.path);
    auto const parent = open_below(hub_, folder);
    if (!parent && parent.error().code == Code::kNotFound) return {};
    if (!parent) return fail(parent.error());
    if (!stands_at(*parent, name)) return {};
    bool const same = small_text(*parent, name) ==
                      small_text(record_.folder(), std::to_string(index)).value_or("\n");
    bool const must_be_same = item.kind == RemovalKind::kRef || item.kind == RemovalKind::kEntry;
    if (item.kind != RemovalKind::kSnapshot && (!must_be_same || same)) return {};
    return fail(Code::kFailedPrecondition,
                fmt::format("{} stands there again since it was removed; nothing was restored. "
                            "Remove it first, or drop this record: homelab-llm cache trash empty "
                            "{}",
                            hub_.in(item.path), record_.id()));
  }

  /// A link into the shared store is worth nothing without its content.
  Status check_payload(TrashItem const& item, std::size_t index) {
    if (item.kind != RemovalKind::kBlob) return {};
    auto const payload = payload_of_item(record_, index, item.path);
    if (!payload) return {};
    if (is_at_hand(*payload)) return {};
    return fail(Code::kFailedPrecondition,
                fmt::format("the content of {} is no longer in the shared store; nothing was "
                            "restored. If it was removed later, restore that first: homelab-llm "
                            "cache trash ls",
                            item.path));
  }

  /// In this record or where it belongs.
  [[nodiscard]] bool is_at_hand(std::string const& path) const {
    if (held_.contains(path)) return true;
    auto const [folder, name] = split_name(path);
    auto const parent = open_below(hub_, folder);
    return parent && stands_at(*parent, name);
  }

  /// What would be visible without its content, because a later removal took that.
  Status check_content(TrashItem const& item, std::size_t index) {
    std::string const repo = item.path.substr(0, item.path.find('/'));
    std::string const name = std::to_string(index);
    std::set<std::string> needed;
    auto const note = [&](FolderAt const& folder, std::string const& link) {
      if (auto const text = link_text(folder, link))
        needed.insert(repo + "/blobs/" + split_name(*text).name);
    };
    if (item.kind == RemovalKind::kEntry) note(record_.folder(), name);
    if (item.kind == RemovalKind::kSnapshot) {
      RETURN_IF_ERROR(walk_below(
          record_.folder(), name,
          [&](FolderAt const& folder, std::string const& link, std::string const&) -> Status {
            note(folder, link);
            return {};
          }));
    }
    if (item.kind == RemovalKind::kRef)
      if (auto const commit = small_text(record_.folder(), name))
        needed.insert(repo + "/snapshots/" + *commit);
    std::erase_if(needed, [&](std::string const& path) { return is_at_hand(path); });
    return needed.empty() ? Status() : check_other_records(needed);
  }

  /// What is nowhere was missing before, too, and hinders nothing.
  [[nodiscard]] Status check_other_records(std::set<std::string> const& needed) const {
    ASSIGN_OR_RETURN(FolderAt const trash, open_trash(hub_.shown));
    ASSIGN_OR_RETURN(auto const ids, names_in(trash));
    for (std::string const& id : ids) {
      auto const other = OpenRecord::open(hub_.shown, id);
      if (!other) continue;
      auto const manifest = other->manifest();
      for (std::size_t i = 0; manifest && i < manifest->items.size(); ++i) {
        if (!needed.contains(manifest->items[i].path) || !other->holds(i)) continue;
        return fail(Code::kFailedPrecondition,
                    fmt::format("{} was removed later; nothing was restored. First: homelab-llm "
                                "cache undo {}",
                                manifest->items[i].path, id));
      }
    }
    return {};
  }

  Status restore(TrashItem const& item, std::size_t index) {
    auto const [folder, name] = split_name(item.path);
    if (item.kind == RemovalKind::kFolder && stands_at(hub_, name)) {
      ASSIGN_OR_RETURN(FolderAt const from, open_sub(record_.folder(), std::to_string(index)));
      ASSIGN_OR_RETURN(FolderAt const to, open_sub(hub_, name));
      return merge(from, to, 0);
    }
    ASSIGN_OR_RETURN(FolderAt const parent, make_folder_below(hub_, folder));
    auto const place = [&, &file = name]() -> Status {
      auto const moved = record_.give_back(index, parent, file);
      // Came back meanwhile: what stands there stays.
      if (!moved && moved.error().code == Code::kAlreadyExists) return {};
      return moved;
    };
    if (auto const payload = item.kind == RemovalKind::kBlob
                                 ? payload_of_item(record_, index, item.path)
                                 : std::nullopt) {
      RETURN_IF_ERROR(
          with_reference(hub_, *payload, item.path,
                         [&](FolderAt const&, std::string const&) -> Status { return place(); }));
    } else {
      RETURN_IF_ERROR(place());
    }
    touched_.insert(folder);
    out_.paths.push_back(item.path);
    return {};
  }

  /// Unknown things of a repository folder that was removed whole.
  Status merge(FolderAt const& from, FolderAt const& to, int depth) {
    if (depth > kMaxWalkDepth) return fail(Code::kFailedPrecondition, "nested too deeply");
    ASSIGN_OR_RETURN(auto const names, names_in(from));
    for (std::string const& name : names) {
      if (auto const inner = open_sub(from, name)) {
        ASSIGN_OR_RETURN(FolderAt const there, make_sub(to, name));
        RETURN_IF_ERROR(merge(*inner, there, depth + 1));
      } else if (!stands_at(to, name)) {
        RETURN_IF_ERROR(rename_at(from, name, to, name));
      }
    }
    return sync(to);
  }

  Status sync_touched() {
    for (std::string const& folder : touched_) {
      ASSIGN_OR_RETURN(FolderAt const opened, open_below(hub_, folder));
      RETURN_IF_ERROR(sync(opened));
    }
    touched_.clear();
    return {};
  }

  FolderAt hub_;
  OpenRecord record_;
  TrashManifest manifest_;
  std::set<std::string> held_;  ///< paths of what is in the record
  std::set<std::string> touched_;
  Restored out_;
};

/// Blocks that deleting the record gives back.
std::uint64_t disk_bytes_of(Path const& hub_folder, std::string const& id) {
  auto const facts = look_up(hub_folder, "");
  RemovalItem item;
  item.use = facts.use(".locks/.homelab-llm/trash/" + id);
  RemovalItem const* one = &item;
  return freed_bytes(std::span(&one, 1));
}

TrashRecord describe(Path const& hub_folder, std::string const& id) {
  TrashRecord out;
  out.id = id;
  out.disk_bytes = disk_bytes_of(hub_folder, id);
  auto const record = OpenRecord::open(hub_folder, id);
  out.in_use = !record && record.error().code == Code::kAborted;
  if (!record) return out;
  struct stat found{};
  if (::fstat(record->folder().fd.get(), &found) == 0)
    out.created_ns = std::int64_t{found.st_mtim.tv_sec} * kNsPerS + found.st_mtim.tv_nsec;
  auto const manifest = record->manifest();
  if (!manifest) return out;
  out.created_ns = manifest->created_ns;
  out.reason = manifest->reason;
  for (std::size_t i = 0; i < manifest->items.size(); ++i)
    if (record->holds(i)) ++out.items;
  out.restorable = out.items > 0;
  return out;
}

/// Deletes the records for which `choose` is true, oldest first. Those in use are left.
Result<Emptied> empty_some(Path const& hub_folder,
                           std::function<bool(TrashRecord const&)> const& choose) {
  Emptied out;
  ASSIGN_OR_RETURN(auto const records, list_trash(hub_folder));
  for (TrashRecord const& record : records) {
    if (record.in_use || !choose(record)) continue;
    auto const emptied = empty_trash(hub_folder, record.id);
    bool const taken = !emptied && (emptied.error().code == Code::kAborted ||
                                    emptied.error().code == Code::kNotFound);
    if (taken) continue;
    if (!emptied) return fail(emptied.error());
    out.ids.push_back(record.id);
    out.freed_bytes += emptied->freed_bytes;
  }
  return out;
}

}  // namespace

Result<std::vector<TrashRecord>> list_trash(Path const& hub_folder) {
  std::vector<TrashRecord> out;
  auto const trash = open_trash(hub_folder);
  if (!trash && trash.error().code == Code::kNotFound) return out;
  if (!trash) return fail(trash.error());
  ASSIGN_OR_RETURN(auto const names, names_in(*trash));
  for (std::string const& name : names) out.push_back(describe(hub_folder, name));
  return out;
}

Result<Restored> restore_trash(Path const& hub_folder, std::string const& id) {
  ASSIGN_OR_RETURN(OpenRecord record, OpenRecord::open(hub_folder, id));
  auto manifest = record.manifest();
  if (!manifest && manifest.error().code == Code::kNotFound)
    return fail(Code::kFailedPrecondition,
                fmt::format("{} has no manifest: it was deleted for good or left by a crash before "
                            "anything was removed",
                            id));
  if (!manifest) return fail(manifest.error());
  ASSIGN_OR_RETURN(FolderAt hub, open_folder(hub_folder));
  std::set<std::string> folders;
  for (auto const& item : manifest->items) folders.insert(item.path.substr(0, item.path.find('/')));
  auto restored = Restoration(std::move(hub), std::move(record), *std::move(manifest)).run();
  for (auto const& folder : folders) RETURN_IF_ERROR(keep_hub_bridged(hub_folder, folder));
  return restored;
}

Result<Emptied> empty_trash(Path const& hub_folder, std::string const& id) {
  ASSIGN_OR_RETURN(OpenRecord record, OpenRecord::open(hub_folder, id));
  Emptied out{{id}, disk_bytes_of(hub_folder, id)};
  RETURN_IF_ERROR(std::move(record).destroy());
  return out;
}

Result<Emptied> empty_trash_older_than(Path const& hub_folder, std::chrono::seconds age) {
  std::int64_t const limit = now_ns() - age.count() * kNsPerS;
  return empty_some(hub_folder,
                    [limit](TrashRecord const& record) { return record.created_ns <= limit; });
}

Result<Emptied> empty_trash_until(Path const& hub_folder, std::uint64_t free_bytes) {
  return empty_some(hub_folder, [&](TrashRecord const&) {
    auto const space = os::disk_space(hub_folder);
    return space && space->free_bytes < free_bytes;
  });
}

}  // namespace homelab::cache
