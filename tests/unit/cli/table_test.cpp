#include "table.h"

#include <gtest/gtest.h>

namespace homelab::cli {
namespace {

TEST(Table, AlignsColumnsAndLeavesNoBlanksAtLineEnds) {
  Table table({{"NAME"}, {"SIZE", Align::kRight}, {"NOTE"}});
  table.add({"a", "1 B", ""});
  table.add({"longer", "120 MB", "x"});
  EXPECT_EQ(table.render(),
            "NAME      SIZE  NOTE\n"
            "a          1 B\n"
            "longer  120 MB  x\n");
}

TEST(Table, KeepsColumnsStraightWithWideAndCombiningLetters) {
  Table table({{"N"}, {"X"}});
  table.add({"日本", "1"});
  table.add({"e\xCC\x81", "2"});  // e + combining acute
  table.add({"abcd", "3"});
  EXPECT_EQ(table.render(), "N     X\n日本  1\ne\xCC\x81     2\nabcd  3\n");
}

TEST(Table, FillsMissingCellsAndDropsSurplusOnes) {
  Table table({{"A"}, {"B"}});
  table.add({"1"});
  table.add({"1", "2", "3"});
  EXPECT_EQ(table.render(), "A  B\n1\n1  2\n");
}

TEST(DisplayWidth, CountsColumnsNotBytes) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("äöü"), 3U);
  EXPECT_EQ(display_width("日本"), 4U);
  EXPECT_EQ(display_width("😀"), 2U);
  EXPECT_EQ(display_width("\xFF\xFE"), 2U);
  EXPECT_EQ(display_width("\xE6\x97"), 2U) << "a cut letter counts byte by byte";
  EXPECT_EQ(display_width(""), 0U);
}

TEST(Printable, ReplacesWhatCouldSteerATerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb"), "a?[2Jb");
  EXPECT_EQ(printable("a\x7f\x07"), "a??");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "?31m")
      << "the one-letter form of ESC [";
  EXPECT_EQ(printable("a\xFFz"), "a?z");
  EXPECT_EQ(printable("ä日😀"), "ä日😀");
}

TEST(Printable, KeepsLinesOnlyWhenAsked) {
  EXPECT_EQ(printable("a\nb\tc"), "a?b?c");
  EXPECT_EQ(printable("a\nb\tc\r", true), "a\nb\tc?");
}

TEST(RenderFields, AlignsValues) {
  EXPECT_EQ(render_fields({{"a", "1"}, {"long", "2"}, {"empty", ""}}),
            "a:     1\nlong:  2\nempty:\n");
}

}  // namespace
}  // namespace homelab::cli
