#include "admission.h"

#include <gtest/gtest.h>

namespace homelab::engine {
namespace {

using Kind = Admission::Kind;
using Names = std::vector<std::string>;

Resident resident(std::string model, std::uint64_t bytes, int used_at) {
  return {.model = std::move(model),
          .bytes = bytes,
          .last_used = std::chrono::steady_clock::time_point(std::chrono::seconds(used_at))};
}

TEST(Admission, WhatFitsDisturbsNobody) {
  auto const admission = admit({10, 10, 2}, {resident("a", 5, 1)});
  EXPECT_EQ(admission.kind, Kind::kFits);
  EXPECT_EQ(admission.leaving, Names{});
}

TEST(Admission, TheModelUsedLongestAgoLeavesFirst) {
  auto const admission = admit({10, 5, 9}, {resident("new", 5, 2), resident("old", 5, 1)});
  EXPECT_EQ(admission.kind, Kind::kFits);
  EXPECT_EQ(admission.leaving, Names{"old"});
}

TEST(Admission, NoMoreLeaveThanNeeded) {
  auto const admission =
      admit({20, 0, 9}, {resident("small", 1, 1), resident("big", 20, 2), resident("new", 5, 3)});
  EXPECT_EQ(admission.leaving, Names{"big"});
}

TEST(Admission, TheNumberOfModelsCounts) {
  auto const admission = admit({1, 100, 2}, {resident("a", 1, 1), resident("b", 1, 2)});
  EXPECT_EQ(admission.kind, Kind::kFits);
  EXPECT_EQ(admission.leaving, Names{"a"});
}

TEST(Admission, OneModelIsAlwaysAllowed) { EXPECT_EQ(admit({1, 100, 0}, {}).kind, Kind::kFits); }

TEST(Admission, APinnedModelStays) {
  auto pinned = resident("pinned", 10, 1);
  pinned.pinned = true;
  EXPECT_EQ(admit({10, 0, 9}, {pinned}).kind, Kind::kNever);
  EXPECT_EQ(admit({10, 0, 9}, {pinned, resident("b", 10, 2)}).leaving, Names{"b"});
}

TEST(Admission, AnIdleModelLeavesBeforeABusyOneThatIsOlder) {
  auto busy = resident("busy", 10, 1);
  busy.busy = true;
  auto const admission = admit({10, 0, 9}, {busy, resident("idle", 10, 2)});
  EXPECT_EQ(admission.kind, Kind::kFits);
  EXPECT_EQ(admission.leaving, Names{"idle"});
}

TEST(Admission, WhenOnlyBusyModelsWouldMakeRoomTheLoadWaitsForThem) {
  auto busy = resident("busy", 10, 1);
  busy.busy = true;
  auto const admission = admit({10, 0, 9}, {busy});
  EXPECT_EQ(admission.kind, Kind::kWaits);
  EXPECT_EQ(admission.leaving, Names{"busy"});
}

TEST(Admission, WhatIsTooBigForTheMachineNeverFits) {
  auto const admission = admit({100, 10, 9}, {resident("a", 10, 1)});
  EXPECT_EQ(admission.kind, Kind::kNever);
  EXPECT_EQ(admission.leaving, Names{});
}

TEST(Admission, WhatAModelHasNotUsedYetIsNotFreeForOthersButGoesWithIt) {
  // 10 are free, of which "a" (5 now, 8 in the end) will take 3.
  EXPECT_EQ(admit({7, 10, 9, 3}, {resident("a", 8, 1)}).leaving, Names{});
  EXPECT_EQ(admit({8, 10, 9, 3}, {resident("a", 8, 1)}).leaving, Names{"a"});
  EXPECT_EQ(admit({15, 10, 9, 3}, {resident("a", 8, 1)}).kind, Admission::Kind::kFits);
  EXPECT_EQ(admit({16, 10, 9, 3}, {resident("a", 8, 1)}).kind, Admission::Kind::kNever);
}

}  // namespace
}  // namespace homelab::engine
