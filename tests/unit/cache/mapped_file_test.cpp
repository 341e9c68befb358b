#include "verify/mapped_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>

#include "base/os/file.h"
#include "support/temp_dir.h"

namespace homelab::cache {
namespace {

constexpr std::size_t kPage = 65536;  // no machine has larger ones

class MappedFiles : public testing::Test {
 protected:
  os::UniqueFd file_of(std::size_t bytes) {
    dir_.write("file", std::string(bytes, 'x'));
    return os::open_file(dir_ / "file", O_RDWR).value();
  }
  static long count(std::span<std::byte const> bytes, char letter) {
    return std::ranges::count(bytes, static_cast<std::byte>(letter));
  }
  test::TempDir dir_;
};

TEST_F(MappedFiles, WindowsShowWhatIsInTheFile) {
  std::size_t const size = MappedFile::kWindowBytes + 12345;
  auto const file = file_of(size);
  MappedFile mapped(file.get());
  auto const first = mapped.show(0, MappedFile::kWindowBytes);
  ASSERT_TRUE(first);
  EXPECT_EQ(count(*first, 'x'), static_cast<long>(MappedFile::kWindowBytes));
  auto const rest = mapped.show(MappedFile::kWindowBytes, 12345);
  ASSERT_TRUE(rest);
  EXPECT_EQ(count(*rest, 'x'), 12345);
  EXPECT_FALSE(mapped.broke());
}

TEST_F(MappedFiles, WhatIsCutOffBeforeOrWhileItIsLookedAtShowsAsZerosAndIsTold) {
  for (bool const touched : {false, true}) {
    auto const file = file_of(4 * kPage);
    MappedFile mapped(file.get());
    auto const window = mapped.show(0, 4 * kPage);
    ASSERT_TRUE(window);
    if (touched) {
      EXPECT_EQ(count(*window, 'x'), static_cast<long>(4 * kPage));
    }
    ASSERT_EQ(::ftruncate(file.get(), 0), 0);
    EXPECT_EQ(window->back(), std::byte{0}) << touched;
    EXPECT_TRUE(mapped.broke()) << touched;
    ASSERT_EQ(::ftruncate(file.get(), kPage), 0);
    ASSERT_TRUE(mapped.show(0, kPage));
    EXPECT_TRUE(mapped.broke()) << "also after the next window";
  }
}

TEST_F(MappedFiles, EveryThreadHasItsOwnWindow) {
  auto const file = file_of(4 * kPage);
  auto const short_file = os::open_file(dir_ / "short", O_RDWR | O_CREAT).value();
  ASSERT_EQ(::ftruncate(short_file.get(), 4 * kPage), 0);
  MappedFile mapped(file.get());
  auto const window = mapped.show(0, 4 * kPage);
  ASSERT_TRUE(window);
  bool other_broke = false;
  std::thread([&] {
    MappedFile other(short_file.get());
    auto const theirs = other.show(0, 4 * kPage);
    if (!theirs || ::ftruncate(short_file.get(), 0) != 0) return;
    other_broke = theirs->front() == std::byte{0} && other.broke();
  }).join();
  EXPECT_TRUE(other_broke);
  EXPECT_FALSE(mapped.broke());
  EXPECT_EQ(count(*window, 'x'), static_cast<long>(4 * kPage));
}

TEST_F(MappedFiles, WhatCannotBeMappedIsNot) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  os::UniqueFd const reading(ends[0]);
  os::UniqueFd const writing(ends[1]);
  MappedFile mapped(reading.get());
  EXPECT_FALSE(mapped.show(0, kPage));
  EXPECT_FALSE(mapped.broke());
}

using MappedFilesDeathTest = MappedFiles;

TEST_F(MappedFilesDeathTest, AnyOtherBusErrorStillEndsTheProgram) {
  auto const file = file_of(kPage);
  EXPECT_DEATH(
      {
        MappedFile mapped(file.get());
        auto const window = mapped.show(0, kPage);
        void* const other = ::mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file.get(), 0);
        if (!window || other == MAP_FAILED || ::ftruncate(file.get(), 0) != 0) std::_Exit(0);
        std::_Exit(static_cast<char const volatile*>(other)[0] == 'y' ? 0 : 0);
      },
      "");
}

}  // namespace
}  // namespace homelab::cache
