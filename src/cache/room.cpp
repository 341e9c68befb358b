#include "cache/room.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/strings.h"
#include "cache/trash.h"

namespace homelab::cache {
namespace {

struct Room {
  std::uint64_t free_bytes = 0;
  std::uint64_t trash_bytes = 0;  ///< only counted when the free bytes do not suffice
};

Result<Room> look(Path const& hub_folder, std::uint64_t needed_bytes) {
  ASSIGN_OR_RETURN(auto const disk, os::disk_space(hub_folder));
  Room room{disk.free_bytes, 0};
  if (needed_bytes <= room.free_bytes) return room;
  ASSIGN_OR_RETURN(auto const records, list_trash(hub_folder));
  for (TrashRecord const& record : records)
    if (!record.in_use) room.trash_bytes += record.disk_bytes;
  if (needed_bytes <= room.free_bytes + room.trash_bytes) return room;
  return fail(
      Code::kResourceExhausted,
      fmt::format("{}: {} are needed, {} are free on this file system{}; free "
                  "some space or use another cache location",
                  hub_folder.string(), exact_bytes(needed_bytes), human_bytes(room.free_bytes),
                  room.trash_bytes == 0
                      ? std::string()
                      : fmt::format(" and {} in the trash", human_bytes(room.trash_bytes))));
}

}  // namespace

Status check_room(Path const& hub_folder, std::uint64_t needed_bytes) {
  RETURN_IF_ERROR(look(hub_folder, needed_bytes));
  return {};
}

Status make_room(Path const& hub_folder, std::uint64_t needed_bytes) {
  ASSIGN_OR_RETURN(Room const room, look(hub_folder, needed_bytes));
  if (needed_bytes <= room.free_bytes) return {};
  ASSIGN_OR_RETURN(Emptied const emptied, empty_trash_until(hub_folder, needed_bytes));
  logger("cache")->info(
      "{}: {} are needed, {} were free; {} of the oldest records of the trash "
      "deleted, {} freed",
      hub_folder.string(), human_bytes(needed_bytes), human_bytes(room.free_bytes),
      emptied.ids.size(), human_bytes(emptied.freed_bytes));
  return check_room(hub_folder, needed_bytes);
}

Result<std::uint64_t> shrink_trash(Path const& hub_folder, std::uint64_t bytes) {
  ASSIGN_OR_RETURN(auto const records, list_trash(hub_folder));
  std::uint64_t freed = 0;
  for (TrashRecord const& record : records) {
    if (freed >= bytes) break;
    if (record.in_use) continue;
    auto const emptied = empty_trash(hub_folder, record.id);
    // Somebody else restores or empties it.
    bool const taken = !emptied && (emptied.error().code == Code::kAborted ||
                                    emptied.error().code == Code::kNotFound);
    if (taken) continue;
    if (!emptied) return fail(emptied.error());
    freed += emptied->freed_bytes;
  }
  if (freed > 0)
    logger("cache")->info("{}: the limit is reached; {} of the trash deleted", hub_folder.string(),
                          human_bytes(freed));
  return freed;
}

}  // namespace homelab::cache
