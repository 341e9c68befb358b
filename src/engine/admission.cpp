#include "admission.h"

#include <algorithm>

namespace homelab::engine {
namespace {

class Room {
 public:
  Room(Demand const& demand, std::size_t residents) : demand_(demand), residents_(residents) {}

  [[nodiscard]] bool fits(std::vector<Resident const*> const& leaving) const {
    std::uint64_t free = demand_.free_bytes;
    for (auto const* resident : leaving) free += resident->bytes;
    return free >= demand_.needed_bytes + demand_.promised_bytes &&
           residents_ - leaving.size() + 1 <= std::max<std::size_t>(1, demand_.max_models);
  }

 private:
  Demand const& demand_;
  std::size_t residents_;
};

}  // namespace

Admission admit(Demand const& demand, std::vector<Resident> residents) {
  std::sort(residents.begin(), residents.end(), [](Resident const& a, Resident const& b) {
    return a.busy != b.busy ? b.busy : a.last_used < b.last_used;
  });
  Room const room(demand, residents.size());
  std::vector<Resident const*> leaving;
  for (auto const& resident : residents) {
    if (room.fits(leaving)) break;
    if (!resident.pinned) leaving.push_back(&resident);
  }
  if (!room.fits(leaving)) return {};
  // A big one that came last may have made the small ones before it unnecessary.
  for (std::size_t i = 0; i < leaving.size();) {
    auto without = leaving;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    if (room.fits(without)) {
      leaving = std::move(without);
    } else {
      ++i;
    }
  }
  Admission out{Admission::Kind::kFits, {}};
  for (auto const* resident : leaving) {
    if (resident->busy) out.kind = Admission::Kind::kWaits;
    out.leaving.push_back(resident->model);
  }
  return out;
}

}  // namespace homelab::engine
