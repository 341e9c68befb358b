#include "verify/content_check.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <utility>

#include "../hub_fixture.h"
#include "base/os/file.h"

namespace homelab::cache {
namespace {

using Outcome = ContentCheck::Outcome;

class ContentChecks : public ::testing::Test {
 protected:
  os::UniqueFd file_with(std::string const& content) {
    std::ofstream(path_, std::ios::binary) << content;
    return open();
  }
  os::UniqueFd open() { return os::open_file(path_, O_RDONLY).value(); }

  test::TempDir dir_;
  std::filesystem::path path_ = dir_ / "file";
};

TEST_F(ContentChecks, RightContentIsGoodUnderBothKindsOfNames) {
  for (std::size_t size : {0UL, 1UL, 131'072UL, 131'073UL, 9'000'000UL}) {
    std::string const content(size, 'x');
    auto const file = file_with(content);
    EXPECT_EQ(check_content(file.get(), sha_name(content), {}).outcome, Outcome::kGood) << size;
    EXPECT_EQ(check_content(file.get(), git_name(content), {}).outcome, Outcome::kGood) << size;
  }
}

TEST_F(ContentChecks, OneFlippedBitIsWrongAndTheTrueHashIsTold) {
  std::string content(200'000, 'x');
  auto const name = sha_name(content);
  content[150'000] ^= 1;
  auto const check = check_content(file_with(content).get(), name, {});
  EXPECT_EQ(check.outcome, Outcome::kWrong);
  EXPECT_EQ(check.found, sha256_hex(content));
}

TEST_F(ContentChecks, AGitNameAlsoCoversTheLength) {
  auto const name = git_name("abc");
  EXPECT_EQ(check_content(file_with("ab").get(), name, {}).outcome, Outcome::kWrong);
  EXPECT_EQ(check_content(file_with("abcd").get(), name, {}).outcome, Outcome::kWrong);
}

TEST_F(ContentChecks, AFileThatIsWrittenToWhileItIsReadIsNeitherGoodNorWrong) {
  std::string const content(500'000, 'x');
  auto const file = file_with(content);
  bool done = false;
  ContentWatch const watch{[&](std::uint64_t) {
                             if (done) return;
                             done = true;
                             std::fstream change(path_,
                                                 std::ios::in | std::ios::out | std::ios::binary);
                             change.seekp(400'000);
                             change << "changed";
                             change.flush();
                             std::filesystem::resize_file(path_, 499'999);
                           },
                           {}};
  auto const check = check_content(file.get(), sha_name(content), watch);
  EXPECT_EQ(check.outcome, Outcome::kChanged);
  EXPECT_FALSE(check.settled);
}

TEST_F(ContentChecks, AFileThatBecomesShorterWhileItIsReadHasChanged) {
  std::string const content(500'000, 'x');
  auto const file = file_with(content);
  ContentWatch const watch{[&](std::uint64_t) { std::filesystem::resize_file(path_, 140'000); },
                           {}};
  EXPECT_EQ(check_content(file.get(), sha_name(content), watch).outcome, Outcome::kChanged);
}

TEST_F(ContentChecks, AFileThatIsShownInPlaceMayBecomeShorterToo) {
  for (off_t const left : {0L, 5'000'000L, 12'000'000L}) {
    std::string const content(20'000'000, 'x');
    auto const file = file_with(content);
    bool done = false;
    ContentWatch const watch{[&](std::uint64_t) {
                               if (std::exchange(done, true)) return;
                               ASSERT_EQ(::truncate(path_.c_str(), left), 0);
                             },
                             {}};
    EXPECT_EQ(check_content(file.get(), sha_name(content), watch).outcome, Outcome::kChanged)
        << left;
  }
}

TEST_F(ContentChecks, AFileWhoseNameGoesAwayIsStillReadToItsEnd) {
  std::string const content(500'000, 'x');
  auto const file = file_with(content);
  ContentWatch const watch{[&](std::uint64_t) { std::filesystem::remove(path_); }, {}};
  auto const check = check_content(file.get(), sha_name(content), watch);
  EXPECT_EQ(check.outcome, Outcome::kGood);
  EXPECT_FALSE(check.settled) << "what has no name must not be remembered under one";
}

TEST_F(ContentChecks, ReadingCanBeStopped) {
  auto const file = file_with(std::string(500'000, 'x'));
  int asked = 0;
  ContentWatch const watch{{}, [&] { return ++asked == 2; }};
  EXPECT_EQ(check_content(file.get(), sha_name("other"), watch).outcome, Outcome::kCancelled);
}

TEST_F(ContentChecks, WhatCannotBeReadIsNotCalledWrong) {
  // Reading a folder fails with an error of the file system, as a broken disk does.
  auto const folder = os::open_file(dir_ / ".", O_RDONLY | O_DIRECTORY).value();
  auto const check = check_content(folder.get(), sha_name("x"), {});
  EXPECT_EQ(check.outcome, Outcome::kUnreadable);
  EXPECT_FALSE(check.why.empty());
}

TEST_F(ContentChecks, FactsTellOfEveryWriteEvenWhenTheTimeIsSetBack) {
  auto const before = check_content(file_with("abc").get(), sha_name("abc"), {}).facts;
  struct stat found{};
  auto const file = os::open_file(path_, O_WRONLY).value();
  ASSERT_EQ(::fstat(file.get(), &found), 0);
  // Until the file system's clock has moved on, the facts could not differ.
  while (!is_settled(facts_of(found), file_clock_ns())) {
  }
  ASSERT_EQ(::pwrite(file.get(), "xyz", 3, 0), 3);
  timespec const times[] = {found.st_atim, found.st_mtim};
  ASSERT_EQ(::futimens(file.get(), times), 0);
  ASSERT_EQ(::fstat(file.get(), &found), 0);
  EXPECT_EQ(facts_of(found).modified_ns, before.modified_ns);
  EXPECT_NE(facts_of(found), before);
}

}  // namespace
}  // namespace homelab::cache
