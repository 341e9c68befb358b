#include "cache/room.h"

#include <filesystem>

#include "hub_fixture.h"
#include "support/trash_filler.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;
using test::kTrashRecordBytes;

class RoomTest : public HubFixture {
 protected:
  [[nodiscard]] std::uint64_t free_bytes() const {
    return os::disk_space(hub()).value().free_bytes;
  }
  Path const oldest_ = test::fill_trash(hub(), "20250101T000000.000000Z-00000001");
  Path const middle_ = test::fill_trash(hub(), "20250102T000000.000000Z-00000002");
  Path const newest_ = test::fill_trash(hub(), "20250103T000000.000000Z-00000003");
};

TEST_F(RoomTest, NothingGoesFromTheTrashWhileThereIsRoom) {
  EXPECT_TRUE(make_room(hub(), 1));
  EXPECT_TRUE(fs::exists(oldest_));
}

TEST_F(RoomTest, TheOldestGoesFirstAndOnlyAsMuchAsIsNeeded) {
  auto const done = make_room(hub(), free_bytes() + kTrashRecordBytes / 2);
  EXPECT_TRUE(done) << why(done);
  EXPECT_FALSE(fs::exists(oldest_));
  EXPECT_TRUE(fs::exists(middle_));
  EXPECT_TRUE(fs::exists(newest_));
}

TEST_F(RoomTest, TheTrashStaysWhenAllOfItWouldNotDo) {
  auto const done = make_room(hub(), free_bytes() + 10 * kTrashRecordBytes);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(fs::exists(oldest_));
  EXPECT_TRUE(fs::exists(newest_));
}

TEST_F(RoomTest, AskingDeletesNothing) {
  EXPECT_TRUE(check_room(hub(), free_bytes() + kTrashRecordBytes / 2));
  EXPECT_FALSE(check_room(hub(), free_bytes() + 10 * kTrashRecordBytes));
  EXPECT_TRUE(fs::exists(oldest_));
}

TEST_F(RoomTest, ShrinkingGivesBackAtLeastWhatIsAskedOldestFirst) {
  auto const freed = shrink_trash(hub(), kTrashRecordBytes + kTrashRecordBytes / 2);
  ASSERT_TRUE(freed) << why(freed);
  EXPECT_GE(*freed, 2 * kTrashRecordBytes);
  EXPECT_FALSE(fs::exists(middle_));
  EXPECT_TRUE(fs::exists(newest_));
  EXPECT_EQ(shrink_trash(hub(), 0).value(), 0U);
  EXPECT_TRUE(fs::exists(newest_));
}

}  // namespace
}  // namespace homelab::cache
