#pragma once
// Room in a cache location: its disk and its limit, with the trash given up for it.
#include <cstdint>

#include "care/work.h"

namespace homelab::care {

/// kResourceExhausted, with the numbers, when `bytes` more do not fit the location, even without
/// its trash. A custom root that the settings do not name has no limit.
[[nodiscard]] Status check_room_in(cache::Locations const& locations, ChosenLocation const& chosen,
                                   std::uint64_t bytes);

/// The same; then the oldest of the trash goes as far as the limit needs that. The disk's free
/// space is made by who writes (cache/room.h).
[[nodiscard]] Status make_room_in(cache::Locations const& locations, ChosenLocation const& chosen,
                                  std::uint64_t bytes);

}  // namespace homelab::care
