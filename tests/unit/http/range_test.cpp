#include "range.h"

#include <gtest/gtest.h>

namespace homelab::http {
namespace {

using Kind = ByteRange::Kind;

void expect_part(std::string_view field, std::uint64_t size, std::uint64_t first,
                 std::uint64_t last) {
  SCOPED_TRACE(field);
  ByteRange const range = parse_range(field, size);
  EXPECT_EQ(range.kind, Kind::kPart);
  EXPECT_EQ(range.first, first);
  EXPECT_EQ(range.last, last);
}

TEST(Range, ReadsTheThreeFormsOfARange) {
  expect_part("bytes=0-0", 10, 0, 0);
  expect_part("bytes=2-5", 10, 2, 5);
  expect_part("bytes=7-", 10, 7, 9);
  expect_part("bytes=-3", 10, 7, 9);
  expect_part("Bytes= 2-5 ", 10, 2, 5);
}

TEST(Range, CutsWhatLiesBehindTheEnd) {
  expect_part("bytes=5-100", 10, 5, 9);
  expect_part("bytes=-100", 10, 0, 9);
  expect_part("bytes=5-99999999999999999999999999", 10, 5, 9);
}

TEST(Range, CannotSatisfyWhatBeginsBehindTheEnd) {
  EXPECT_EQ(parse_range("bytes=10-", 10).kind, Kind::kUnsatisfiable);
  EXPECT_EQ(parse_range("bytes=99999999999999999999999-", 10).kind, Kind::kUnsatisfiable);
  EXPECT_EQ(parse_range("bytes=-0", 10).kind, Kind::kUnsatisfiable);
  EXPECT_EQ(parse_range("bytes=0-0", 0).kind, Kind::kUnsatisfiable);
}

TEST(Range, IgnoresWhatItDoesNotUnderstand) {
  for (std::string_view const field :
       {"", "bytes", "bytes=", "bytes=-", "bytes=5", "bytes=5-2", "bytes=a-b", "bytes=+1-2",
        "bytes=1 -2", "items=0-5", "bytes=0-1,3-4", "bytes=0-1,", "bytes=--1", "bytes=1--2"}) {
    EXPECT_EQ(parse_range(field, 10).kind, Kind::kWhole) << field;
  }
}

}  // namespace
}  // namespace homelab::http
