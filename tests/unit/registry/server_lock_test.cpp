#include "registry/server_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/os/file.h"
#include "support/temp_dir.h"

namespace homelab::registry {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ServerLockTest : public ::testing::Test {
 protected:
  std::filesystem::path database() const { return folder_.path() / "models.db"; }
  std::filesystem::path lock_file() const { return folder_.path() / "models.db.lock"; }
  void write_lock_file(std::string const& text) const { std::ofstream(lock_file()) << text; }

  test::TempDir folder_;
};

TEST_F(ServerLockTest, a_second_server_is_refused_and_told_who_has_the_registry) {
  auto first = ServerLock::take(database(), {"nas", 4711, true, "", "2026-01-31T12:00:00Z", "b"});
  ASSERT_TRUE(first);
  first->announce("http://127.0.0.1:8000");
  auto const second = ServerLock::take(database(), this_process(false));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kUnavailable);
  EXPECT_THAT(second.error().message,
              AllOf(HasSubstr("4711"), HasSubstr("container nas"),
                    HasSubstr("http://127.0.0.1:8000"), HasSubstr("2026-01-31T12:00:00Z"),
                    HasSubstr(database().string()), HasSubstr("DATABASE_PATH")));
}

TEST_F(ServerLockTest, another_database_in_the_same_folder_is_another_registry) {
  auto const first = ServerLock::take(database(), this_process(false));
  EXPECT_TRUE(ServerLock::take(folder_.path() / "other.db", this_process(false)));
}

TEST_F(ServerLockTest, a_server_that_ended_leaves_nothing_that_stops_the_next_one) {
  {
    auto const first = ServerLock::take(database(), this_process(false));
  }
  EXPECT_FALSE(*find_holder(database()));
  EXPECT_TRUE(ServerLock::take(database(), this_process(false)));
}

TEST_F(ServerLockTest, a_server_that_was_killed_leaves_nothing_that_stops_the_next_one) {
  pid_t const child = ::fork();
  if (child == 0) {
    auto const held = ServerLock::take(database(), this_process(false));
    ::_exit(held ? 0 : 1);  // no destructor: as after SIGKILL
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_GT(std::filesystem::file_size(lock_file()), 0U) << "its last words are still there";
  EXPECT_FALSE(*find_holder(database()));
  EXPECT_TRUE(ServerLock::take(database(), this_process(false)));
}

TEST_F(ServerLockTest, the_holder_can_be_asked_for_while_it_lives) {
  EXPECT_FALSE(*find_holder(database())) << "and asking makes no file";
  EXPECT_FALSE(std::filesystem::exists(lock_file()));
  auto held = ServerLock::take(database(), this_process(true));
  ASSERT_TRUE(held);
  held->announce("http://127.0.0.1:1");
  auto const holder = find_holder(database());
  ASSERT_TRUE(holder && *holder);
  EXPECT_EQ((*holder)->process, ::getpid());
  EXPECT_TRUE((*holder)->container);
  EXPECT_EQ((*holder)->address, "http://127.0.0.1:1");
  EXPECT_NE((*holder)->host, "");
}

TEST_F(ServerLockTest, text_of_a_stranger_in_the_lock_file_bends_no_terminal) {
  write_lock_file(R"({"host": "a\u001b[31mb\nerror", "process": 1})");
  auto const fd = os::open_file(lock_file(), O_RDWR);
  ASSERT_TRUE(fd);
  ASSERT_EQ(::flock(fd->get(), LOCK_EX), 0);
  auto const refused = ServerLock::take(database(), this_process(false));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("a?[31mb?error"));
  write_lock_file("not JSON");
  auto const again = ServerLock::take(database(), this_process(false));
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("another server"));
}

TEST_F(ServerLockTest, a_link_in_the_place_of_the_lock_file_is_not_followed) {
  std::filesystem::create_symlink(folder_.path() / "elsewhere", lock_file());
  EXPECT_FALSE(ServerLock::take(database(), this_process(false)));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "elsewhere"));
}

TEST_F(ServerLockTest, a_registry_is_shared_on_one_kernel_and_not_between_machines) {
  EXPECT_TRUE(check_shareable(database()));
  {
    auto const here = ServerLock::take(database(), this_process(true));
    EXPECT_TRUE(check_shareable(database()));
  }
  auto const elsewhere = ServerLock::take(database(), {"nas", 7, false, "", "", "another boot"});
  auto const refused = check_shareable(database());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("nas"), HasSubstr("another machine")));
}

}  // namespace
}  // namespace homelab::registry
