#include "loader/text_rules.h"

#include <gtest/gtest.h>

namespace homelab::loader {
namespace {

/// "<7>" for token 7, other parts in brackets.
std::string shown(TextRules const& rules, std::string_view text, bool parse_special = true) {
  std::string all;
  for (auto const& part : rules.split(text, parse_special))
    all += part.token ? "<" + std::to_string(*part.token) + ">" : "[" + part.text + "]";
  return all;
}

AddedToken token(std::string content, std::uint64_t id, bool special = true) {
  return {.content = std::move(content), .id = id, .special = special};
}

AddedToken stripping(std::string content, std::uint64_t id, bool left, bool right) {
  auto result = token(std::move(content), id);
  result.strips_left = left;
  result.strips_right = right;
  return result;
}

TEST(TextRules, CutAtTheLongestTokenFromTheLeft) {
  TextRules const rules(SpacePrefix::kNone, {token("ab", 1), token("abc", 2), token("bcd", 3)});
  EXPECT_EQ(shown(rules, "xabcdabx"), "[x]<2>[d]<1>[x]");
  EXPECT_EQ(shown(rules, ""), "");
  EXPECT_EQ(shown(rules, "ab"), "<1>");
}

TEST(TextRules, LeaveControlTokensAloneUnlessTheyAreAskedFor) {
  TextRules const rules(SpacePrefix::kNone, {token("<s>", 1), token("<t>", 2, false)});
  EXPECT_EQ(shown(rules, "a<s><t>", false), "[a<s>]<2>");
}

TEST(TextRules, TokensTakeTheWhiteSpaceThatTheySayAlong) {
  TextRules const rules(SpacePrefix::kNone,
                        {stripping("<l>", 1, true, false), stripping("<r>", 2, false, true),
                         stripping("<b>", 3, true, true)});
  EXPECT_EQ(shown(rules, "a \t<l> b <r>\n\u3000c <b> d"), "[a]<1>[ b ]<2>[c]<3>[d]");
  EXPECT_EQ(shown(rules, " <r> <l> <b> "), "[ ]<2><1><3>");
}

TEST(TextRules, PutASpaceInFrontOfEveryPart) {
  std::vector<AddedToken> const added{token("<s>", 1)};
  EXPECT_EQ(shown({SpacePrefix::kEveryPart, added}, "a<s> b"), "[ a]<1>[  b]");
  EXPECT_EQ(shown({SpacePrefix::kEveryPartWithout, added}, "a<s> b<s>▁c"), "[ a]<1>[ b]<1>[▁c]");
}

TEST(TextRules, PutASpaceOnlyInFrontOfTheText) {
  TextRules const rules(SpacePrefix::kFirstPartWithout, {token("<s>", 1)});
  EXPECT_EQ(shown(rules, "a<s>b"), "[ a]<1>[b]");
  EXPECT_EQ(shown(rules, " a"), "[ a]");
  EXPECT_EQ(shown(rules, "<s>b"), "<1>[b]");
}

TEST(TextRules, PutASpaceInFrontOfWhatFollowsAControlToken) {
  TextRules const rules(SpacePrefix::kEverySection, {token("<s>", 1), token("<own>", 2, false)});
  EXPECT_EQ(shown(rules, "a<own>b<s> c<s><own>"), "[ a]<2>[b]<1>[  c]<1>[ ]<2>");
}

TEST(TextRules, AreMadeOnlyWhereTheLibraryDoesOtherwise) {
  Vocabulary vocabulary("tokenizer.json", 4);
  EXPECT_FALSE(make_text_rules(SpacePrefix::kNone, {token("<s>", 1)}, vocabulary));
  EXPECT_FALSE(make_text_rules(SpacePrefix::kEveryPart, {}, vocabulary));
  EXPECT_TRUE(make_text_rules(SpacePrefix::kFirstPartWithout, {}, vocabulary));
  EXPECT_TRUE(make_text_rules(SpacePrefix::kNone, {stripping("<s>", 1, false, true)}, vocabulary));
  EXPECT_FALSE(make_text_rules(SpacePrefix::kNone, {stripping("<s>", 9, false, true)}, vocabulary))
      << "the model has no row for it";
  ASSERT_TRUE(vocabulary.put("</s>", 2, TokenType::kNormal));
  EXPECT_TRUE(make_text_rules(SpacePrefix::kNone, {}, vocabulary));
}

}  // namespace
}  // namespace homelab::loader
