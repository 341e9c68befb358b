#include "config/dotenv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace homelab::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Environment = std::map<std::string, std::string>;

Lookup lookup_in(Environment environment) {
  return [environment =
              std::move(environment)](std::string const& name) -> std::optional<std::string> {
    auto const found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

Environment values_of(std::string_view text, Environment const& environment = {}) {
  auto const entries = parse_dotenv(text, lookup_in(environment));
  EXPECT_TRUE(entries) << entries.error().message;
  Environment values;
  if (entries)
    for (auto const& entry : *entries) values[entry.key] = entry.value;
  return values;
}

std::string error_of(std::string_view text, Environment const& environment = {}) {
  auto const entries = parse_dotenv(text, lookup_in(environment));
  EXPECT_FALSE(entries) << "nothing wrong was found in: " << text;
  return entries ? "" : entries.error().message;
}

std::vector<std::string> warnings_of(std::string_view text, Environment const& environment = {}) {
  std::vector<std::string> warnings;
  EXPECT_TRUE(parse_dotenv(text, lookup_in(environment), &warnings));
  return warnings;
}

struct Line {
  std::string_view text;
  std::string_view value;  ///< of A
};

class OneLine : public ::testing::TestWithParam<Line> {};

// Expected values were taken from compose's own loader (compose-go 2.9) with B=b in an earlier
// line.
TEST_P(OneLine, IsReadAsComposeDoes) {
  auto const [text, value] = GetParam();
  EXPECT_EQ(values_of("B=b\n" + std::string(text) + "\n")["A"], value) << text;
  EXPECT_EQ(values_of("B=b\r\n" + std::string(text) + "\r\n")["A"], value) << "CRLF: " << text;
}

INSTANTIATE_TEST_SUITE_P(
    Compose, OneLine,
    ::testing::Values(Line{"A=x", "x"}, Line{"A=", ""}, Line{"A = x", "x"}, Line{"  A=x", "x"},
                      Line{"export A=x", "x"}, Line{"export\tA=x", "x"}, Line{"A: x", "x"},
                      Line{"A=x y", "x y"}, Line{"A=x # c", "x"}, Line{"A=x#c", "x#c"},
                      Line{"A=x  # c", "x"}, Line{"A=x\t# c", "x\t# c"}, Line{"A= # c", "# c"},
                      Line{"A=a=b", "a=b"}, Line{"A=~/x", "~/x"},
                      Line{"A=C:\\temp\\new", "C:\\temp\\new"}, Line{R"(A='x y')", "x y"},
                      Line{R"(A='$B ${B}')", "$B ${B}"}, Line{R"(A='a\nb')", "a\\nb"},
                      Line{R"(A='it\'s')", "it's"}, Line{R"(A="x y")", "x y"},
                      Line{R"(A="x" # c)", "x"}, Line{R"(A="x # c")", "x # c"},
                      Line{R"(A="a\nb\tc")", "a\nb\tc"}, Line{R"(A="a\"b")", "a\"b"},
                      Line{R"(A="a\\nb")", "a\\nb"}, Line{R"(A="a\$B")", "a$B"},
                      Line{R"(A="\0101\c")", "A\\c"}, Line{R"(A="\0400\08")", "\\400\\8"},
                      Line{R"(A="C:\temp\new")", "C:\temp\new"}));

INSTANTIATE_TEST_SUITE_P(
    Interpolation, OneLine,
    ::testing::Values(Line{"A=${B}/h", "b/h"}, Line{"A=\"${B}/h\"", "b/h"}, Line{"A=$B/h", "b/h"},
                      Line{"A=$$B", "$B"}, Line{"A=$B$B", "bb"}, Line{"A=5$", "5$"},
                      Line{"A=$5", "$5"}, Line{"A=a$ b", "a$ b"}, Line{"A=${N}", ""},
                      Line{"A=$N.", "."}, Line{"A=${N:-d}", "d"}, Line{"A=${N-d}", "d"},
                      Line{"A=${B:-d}", "b"}, Line{"A=${N:-}", ""}, Line{"A=${N:-${B}/x}", "b/x"},
                      Line{"A=${N:-${M:-z}}", "z"}, Line{"A=${N:-a}/${B:-c}", "a/b"},
                      Line{"A=${B:+y}", "y"}, Line{"A=${N:+y}", ""}, Line{"A=${N+y}", ""},
                      Line{"A=${B:?must}", "b"}, Line{"A=${B?must}", "b"},
                      Line{"A=${N:-a-b:c}", "a-b:c"}, Line{"A=${N:-{\"k\":1}}", "{\"k\":1}"},
                      Line{"A=${N:-$$}", "$"}));

TEST(Dotenv, AnEmptyNameDiffersFromAnUnsetOneAsInTheShell) {
  EXPECT_EQ(values_of("E=\nA=${E-d}\n")["A"], "");
  EXPECT_EQ(values_of("E=\nA=${E:-d}\n")["A"], "d");
  EXPECT_EQ(values_of("E=\nA=${E+y}\n")["A"], "y");
  EXPECT_EQ(values_of("E=\nA=${E:+y}\n")["A"], "");
  EXPECT_EQ(values_of("E=\nA=${E?m}\n")["A"], "");
}

TEST(Dotenv, TheEnvironmentWinsOverEarlierLinesInInterpolation) {
  EXPECT_EQ(values_of("B=file\nA=${B}", {{"B", "shell"}})["A"], "shell");
  EXPECT_EQ(values_of("B=file\nA=${B}")["A"], "file");
}

TEST(Dotenv, OnlyEarlierLinesAreSeen) { EXPECT_EQ(values_of("A=${B}\nB=late")["A"], ""); }

TEST(Dotenv, WhatAVariableHoldsIsNotExpandedAgain) {
  EXPECT_EQ(values_of("A=${B}", {{"B", "${C} $$"}, {"C", "no"}})["A"], "${C} $$");
}

TEST(Dotenv, ALaterLineOfTheSameNameWins) {
  auto const entries = parse_dotenv("A=1\nB=${A}\nA=2\n", lookup_in({}));
  ASSERT_TRUE(entries);
  EXPECT_THAT(*entries, ElementsAre(DotenvEntry{"A", "1", 1}, DotenvEntry{"B", "1", 2},
                                    DotenvEntry{"A", "2", 3}));
}

TEST(Dotenv, LinesAreCountedThroughCommentsAndLongValues) {
  auto const entries = parse_dotenv("# one\n\nA=\"x\ny\"\r\n  # five\nB=1", lookup_in({}));
  ASSERT_TRUE(entries);
  EXPECT_THAT(*entries, ElementsAre(DotenvEntry{"A", "x\ny", 3}, DotenvEntry{"B", "1", 6}));
}

TEST(Dotenv, ANameAloneTakesTheEnvironmentsValueOrNothing) {
  EXPECT_THAT(values_of("A\nB\nC=1", {{"A", "from outside"}}),
              ElementsAre(std::pair("A", "from outside"), std::pair("C", "1")));
  EXPECT_THAT(values_of("LAST"), IsEmpty());
}

TEST(Dotenv, EmptyTextsCommentsAndAByteOrderMarkAreFine) {
  EXPECT_THAT(values_of(""), IsEmpty());
  EXPECT_THAT(values_of("\n\n  \r\n# only a comment"), IsEmpty());
  EXPECT_EQ(values_of("\xEF\xBB\xBF"
                      "A=1")["A"],
            "1");
}

TEST(Dotenv, ErrorsNameTheLineAndTheTrouble) {
  EXPECT_THAT(error_of("A=1\nB C=2"), HasSubstr("line 2: expected '=' after the name 'B'"));
  EXPECT_THAT(error_of("\n\n=x"), HasSubstr("line 3: expected NAME=value"));
  EXPECT_THAT(error_of("A=\"x\n\nB=1"), HasSubstr("line 1: the quoted value is never closed"));
  EXPECT_THAT(error_of("A='x"), HasSubstr("line 1"));
  EXPECT_THAT(error_of("A=1\nB=${A"), HasSubstr("line 2: '${' without its '}'"));
  EXPECT_THAT(error_of("A=${}"), HasSubstr("does not begin with a variable's name"));
  EXPECT_THAT(error_of("A=${1}"), HasSubstr("does not begin with a variable's name"));
  EXPECT_THAT(error_of("A=${B!x}"), HasSubstr("is not understood"));
  EXPECT_THAT(error_of("A=${B:x}"), HasSubstr("is not understood"));
  EXPECT_THAT(error_of("A=${B:}"), HasSubstr("is not understood"));
  EXPECT_THAT(error_of("A=\"x\"y"), HasSubstr("after the closing quote"));
  EXPECT_THAT(error_of("N\xC3\xA4me=x"), HasSubstr("byte 0xc3"));
}

TEST(Dotenv, ARequiredNameWithoutValueIsAnErrorWithItsMessage) {
  EXPECT_THAT(error_of("X=1\nA=${N:?set ${X} first}"),
              HasSubstr("line 2: N is required: set 1 first"));
  EXPECT_THAT(error_of("N=\nA=${N:?}"), HasSubstr("N is required but has no value"));
  EXPECT_THAT(error_of("A=${N?gone}"), HasSubstr("N is required: gone"));
}

TEST(Dotenv, ErrorsDoNotShowWhatMayBeASecret) {
  EXPECT_THAT(error_of("HF_TOKEN hf_secret"), Not(HasSubstr("hf_secret")));
  EXPECT_THAT(error_of("HF_TOKEN=\"hf_secret"), Not(HasSubstr("hf_secret")));
  EXPECT_THAT(error_of("HF_TOKEN=\"hf_secret\"hf_secret"), Not(HasSubstr("hf_secret")));
}

TEST(Dotenv, WarnsOfWhatOtherReadersSeeDifferently) {
  EXPECT_THAT(warnings_of("B=1\nA=$B"), ElementsAre(HasSubstr("line 2: $B without braces")));
  EXPECT_THAT(warnings_of("A=${N}"), ElementsAre(HasSubstr("line 1: N is not set")));
  EXPECT_THAT(warnings_of("A= # my token"),
              ElementsAre(HasSubstr("line 1: the value begins with '#'")));
  EXPECT_THAT(warnings_of("B=1\nA=${B} # c\nC='$B'\nD=${N:-x}"), IsEmpty());
}

TEST(Dotenv, AHugeFileIsRefused) {
  auto const entries = parse_dotenv(std::string(1024 * 1024 + 1, '\n'), lookup_in({}));
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(parse_dotenv(std::string(1024 * 1024, '\n'), lookup_in({})));
}

TEST(Dotenv, ValuesThatDoubleEachOtherDoNotFillTheMemory) {
  std::string text = "A0=xxxxxxxxxxxxxxxx\n";
  for (int i = 1; i < 64; ++i)
    text += "A" + std::to_string(i) + "=${A" + std::to_string(i - 1) + "}${A" +
            std::to_string(i - 1) + "}\n";
  auto const entries = parse_dotenv(text, lookup_in({}));
  ASSERT_FALSE(entries);
  EXPECT_EQ(entries.error().code, Code::kResourceExhausted);
}

TEST(Dotenv, DeepNestingIsRefused) {
  std::string text = "A=";
  for (int i = 0; i < 1000; ++i) text += "${N:-";
  text += std::string(1000, '}');
  EXPECT_THAT(error_of(text), HasSubstr("nested"));
}

TEST(Dotenv, NulBytesAreRefused) {
  EXPECT_THAT(error_of(std::string_view("A=x\0y", 5)), HasSubstr("NUL"));
}

TEST(Dotenv, AnyTextGivesEntriesOrAnErrorWithALine) {
  std::mt19937 random(20251116);
  std::vector<std::string> const pieces{
      "A", "B", "=", "\n", "\"", "'",    "#",    " ",  "\\", "$", "{",       "}",   ":",
      "-", "?", "+", "$$", "${", "${A}", "\r\n", "\t", "x",  "0", "export ", "\xFF"};
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (auto length = random() % 24; length > 0; --length)
      text += pieces[random() % pieces.size()];
    std::vector<std::string> warnings;
    auto const entries = parse_dotenv(text, lookup_in({{"A", "a"}}), &warnings);
    if (!entries) {
      ASSERT_THAT(entries.error().message, HasSubstr("line ")) << text;
      continue;
    }
    int last_line = 0;
    for (auto const& entry : *entries) {
      ASSERT_FALSE(entry.key.empty()) << text;
      ASSERT_GE(entry.line, last_line) << text;
      last_line = entry.line;
    }
  }
}

}  // namespace
}  // namespace homelab::config
