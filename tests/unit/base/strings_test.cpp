#include "base/strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace homelab {
namespace {

using ::testing::ElementsAre;

TEST(Strings, TrimTakesAllSixBlanks) {
  EXPECT_EQ(trim(" \t\r\n\v\fa b \t\r\n\v\f"), "a b");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim(" \n "), "");
}

TEST(Strings, SplitKeepsEmptyParts) {
  EXPECT_THAT(split(std::string_view("a,,b,"), ','), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(split(std::string_view(), ','), ElementsAre(""));
}

TEST(Strings, ToLowerTouchesAsciiOnly) { EXPECT_EQ(to_lower("AbZ\xC3\x84"), "abz\xC3\x84"); }

TEST(Strings, PercentDecodingIsDoneOnce) {
  EXPECT_EQ(percent_decode("a%20b%2Fc+%25%32%30"), "a b/c+%20");
  EXPECT_EQ(percent_decode("%e4%B8%ad"), "\xE4\xB8\xAD");
  EXPECT_EQ(percent_decode("%00"), std::string(1, '\0'));
  EXPECT_EQ(percent_decode(""), "");
}

TEST(Strings, BrokenEscapesAreRefused) {
  for (auto const* text : {"%", "a%", "%4", "%4g", "%g4", "%%20", "% 0", "%+1"})
    EXPECT_EQ(percent_decode(text), std::nullopt) << text;
}

TEST(Strings, PercentEncodingAndDecodingAreInverse) {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  EXPECT_EQ(percent_decode(percent_encode(all)), all);
  EXPECT_EQ(percent_encode("a b/\xC3\xA4~._-"), "a%20b%2F%C3%A4~._-");
  EXPECT_EQ(percent_encode("a/b c", "/"), "a/b%20c");
}

TEST(Strings, BytesForPeopleAreDecimalAndRoundUpIntoTheNextUnit) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.0 kB");
  EXPECT_EQ(human_bytes(98'400'000), "98.4 MB");
  EXPECT_EQ(human_bytes(999'949), "999.9 kB");
  EXPECT_EQ(human_bytes(999'950), "1.0 MB");
  EXPECT_EQ(human_bytes(2'147'483'648), "2.1 GB");
  EXPECT_EQ(human_bytes(std::numeric_limits<std::uint64_t>::max()), "18446744.1 TB");
}

TEST(Strings, ExactBytesSayBoth) {
  EXPECT_EQ(exact_bytes(98'400'001), "98.4 MB (98400001 bytes)");
  EXPECT_EQ(exact_bytes(1), "1 B (1 byte)");
}

TEST(Strings, OneThingIsSingularAndEveryOtherNumberPlural) {
  EXPECT_EQ(counted(0, "file"), "0 files");
  EXPECT_EQ(counted(1, "file"), "1 file");
  EXPECT_EQ(counted(2, "file"), "2 files");
  EXPECT_EQ(counted(1, "repository", "repositories"), "1 repository");
  EXPECT_EQ(counted(11, "repository", "repositories"), "11 repositories");
}

TEST(Strings, WholeNumbersHaveNoSignNoBlanksAndABound) {
  EXPECT_EQ(parse_uint("0"), 0U);
  EXPECT_EQ(parse_uint("007"), 7U);
  EXPECT_EQ(parse_uint("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  for (auto const* text : {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "18446744073709551616", "a"})
    EXPECT_EQ(parse_uint(text), std::nullopt) << text;
}

TEST(Strings, NumbersAreFiniteAndWhole) {
  EXPECT_EQ(parse_number("1.5"), 1.5);
  EXPECT_EQ(parse_number("-2e3"), -2000);
  for (auto const* text : {"", "nan", "inf", "-inf", "1e999", "1.5x", " 1", "+1", "0x10", "1,5"})
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
}

TEST(Strings, Utf8IsCheckedStrictly) {
  for (auto const* good : {"", "abc", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
                           "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF", "\xEE\x80\x80"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (auto const* bad :
       {"\x80", "\xC3", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF0\x80\x80\xAF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xFF", "a\xC3(", "\xE2(\xA1"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

}  // namespace
}  // namespace homelab
