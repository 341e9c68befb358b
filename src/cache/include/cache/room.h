#pragma once
// Room on the file system of a hub folder. What is in the trash is there only as long as nobody
// needs its space.
#include <cstdint>

#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cache {

/// Ends well when `needed_bytes` are free, after deleting trash records of the hub folder, oldest
/// first, only as many as are needed; each such deletion is logged. kResourceExhausted, with the
/// numbers, when even the whole trash would not suffice: then it stays as it is. Thread-safe.
[[nodiscard]] Status make_room(Path const& hub_folder, std::uint64_t needed_bytes);

/// The same question without deleting anything.
[[nodiscard]] Status check_room(Path const& hub_folder, std::uint64_t needed_bytes);

/// Deletes trash records, oldest first, until `bytes` of blocks are given back or none is left; for
/// limits of the cache's own, which the trash counts against. Logged. Gives what was freed.
[[nodiscard]] Result<std::uint64_t> shrink_trash(Path const& hub_folder, std::uint64_t bytes);

}  // namespace homelab::cache
