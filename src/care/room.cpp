#include "care/room.h"

#include <fmt/format.h>

#include <cmath>

#include "cache/room.h"

namespace homelab::care {
namespace {

constexpr double kBytesPerMb = 1024.0 * 1024.0;
constexpr double kBytesPerGb = 1024.0 * kBytesPerMb;

Result<cache::Locations::Space> space_for(cache::Locations const& locations,
                                          ChosenLocation const& chosen, std::uint64_t bytes) {
  auto space = locations.check_space(chosen.kind, chosen.resolved.root.string(),
                                     static_cast<double>(bytes) / kBytesPerMb);
  if (bytes == 0 || space.sufficient) return space;
  return fail(Code::kResourceExhausted, "does not fit: " + space.reason);
}

}  // namespace

Status check_room_in(cache::Locations const& locations, ChosenLocation const& chosen,
                     std::uint64_t bytes) {
  RETURN_IF_ERROR(space_for(locations, chosen, bytes));
  return {};
}

Status make_room_in(cache::Locations const& locations, ChosenLocation const& chosen,
                    std::uint64_t bytes) {
  ASSIGN_OR_RETURN(auto const space, space_for(locations, chosen, bytes));
  double excess = (space.projected_gb - space.limit_gb) * kBytesPerGb;
  if (bytes == 0 || space.limit_gb <= 0 || excess <= 0) return {};
  auto hubs = locations.readable_hub_folders(chosen.resolved);
  hubs.insert(hubs.begin(), chosen.resolved.hub.path);
  for (auto const& hub : hubs) {
    if (excess <= 0) break;
    ASSIGN_OR_RETURN(auto const freed,
                     cache::shrink_trash(hub, static_cast<std::uint64_t>(std::ceil(excess))));
    excess -= static_cast<double>(freed);
  }
  return {};
}

}  // namespace homelab::care
