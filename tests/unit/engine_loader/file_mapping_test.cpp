#include "loader/file_mapping.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "base/os/file.h"
#include "support/temp_dir.h"

namespace homelab::loader {
namespace {

constexpr std::uint64_t kPage = 4096;

os::UniqueFd open_for_reading(test::TempDir const& folder, std::string const& name) {
  return os::open_file(folder.path() / name, O_RDONLY).value();
}

std::string text(std::span<std::byte const> bytes) {
  std::string result(bytes.size(), '\0');
  std::memcpy(result.data(), bytes.data(), bytes.size());
  return result;
}

TEST(FileMapping, ShowsTheFileEvenAfterItsDescriptorIsClosed) {
  test::TempDir const folder;
  folder.write("f", "content");
  auto file = open_for_reading(folder, "f");
  auto const mapping = FileMapping::of(file.get(), 7, "f");
  ASSERT_TRUE(mapping) << mapping.error().message;
  file.reset();
  EXPECT_EQ(text(mapping->bytes()), "content");
}

TEST(FileMapping, MovedAwayItIsEmpty) {
  test::TempDir const folder;
  folder.write("f", "content");
  auto const file = open_for_reading(folder, "f");
  auto first = FileMapping::of(file.get(), 7, "f").value();
  auto second = std::move(first);
  EXPECT_EQ(text(second.bytes()), "content");
  first = std::move(second);
  EXPECT_EQ(text(first.bytes()), "content");
}

TEST(FileMapping, AnEmptyFileIsNoBytes) {
  test::TempDir const folder;
  folder.write("f", "");
  auto const file = open_for_reading(folder, "f");
  auto const mapping = FileMapping::of(file.get(), 0, "f");
  ASSERT_TRUE(mapping) << mapping.error().message;
  EXPECT_TRUE(mapping->bytes().empty());
  EXPECT_TRUE(mapping->read_ahead(0, 0));
}

TEST(FileMapping, ReadsAheadAnyRangeOfTheFile) {
  test::TempDir const folder;
  folder.write("f", std::string(3 * kPage + 5, 'x'));
  auto const file = open_for_reading(folder, "f");
  auto const mapping = FileMapping::of(file.get(), 3 * kPage + 5, "f").value();
  EXPECT_TRUE(mapping.read_ahead(0, 3 * kPage + 5));
  EXPECT_TRUE(mapping.read_ahead(kPage + 1, 7));
  EXPECT_TRUE(mapping.read_ahead(3 * kPage + 4, 1));
}

TEST(FileMapping, AFileThatBecameShorterIsAnErrorWithItsName) {
  test::TempDir const folder;
  folder.write("f", std::string(3 * kPage, 'x'));
  auto const file = open_for_reading(folder, "f");
  auto const mapping = FileMapping::of(file.get(), 3 * kPage, "weights.safetensors").value();
  ASSERT_EQ(::truncate((folder.path() / "f").c_str(), kPage), 0);
  EXPECT_TRUE(mapping.read_ahead(0, kPage));
  auto const read = mapping.read_ahead(0, 3 * kPage);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kDataLoss);
  EXPECT_NE(read.error().message.find("weights.safetensors"), std::string::npos);
}

}  // namespace
}  // namespace homelab::loader
