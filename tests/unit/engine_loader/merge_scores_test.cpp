#include "loader/merge_scores.h"

#include <gtest/gtest.h>

namespace homelab::loader {
namespace {

Vocabulary vocabulary_of(std::vector<std::string> const& tokens) {
  Vocabulary vocabulary("tokenizer.json", static_cast<std::uint32_t>(tokens.size()));
  for (std::uint32_t id = 0; id < tokens.size(); ++id)
    EXPECT_TRUE(vocabulary.put(tokens[id], id, TokenType::kNormal));
  return vocabulary;
}

json::array merges(std::string_view text) { return parse_json(text)->get_array(); }

TEST(MergeScores, AreHigherForWhatIsMergedEarlier) {
  auto const vocabulary = vocabulary_of({"a", "b", "c", "bc", "ab", "abc"});
  auto const scores =
      scores_of_merges(merges(R"([["b","c"],"a b",["ab","c"],["a","bc"]])"), vocabulary);
  ASSERT_TRUE(scores) << scores.error().message;
  EXPECT_GT((*scores)[3], (*scores)[4]);
  EXPECT_GT((*scores)[4], (*scores)[5]);
  EXPECT_LT((*scores)[0], (*scores)[5]) << "what is never merged comes last";
}

TEST(MergeScores, AreOneForRunsOfACharacterInAnyOrder) {
  auto const vocabulary = vocabulary_of({"▁", "▁▁", "▁▁▁", "▁▁▁▁"});
  auto const scores = scores_of_merges(
      merges(R"([["▁▁▁","▁"],["▁▁","▁▁"],["▁▁","▁"],["▁","▁▁▁"],["▁","▁▁"],["▁","▁"]])"),
      vocabulary);
  ASSERT_TRUE(scores) << scores.error().message;
  EXPECT_EQ((*scores)[2], (*scores)[3]);
  EXPECT_LT((*scores)[1], (*scores)[2]);
}

TEST(MergeScores, AreRefusedWhereNoScoresGiveTheSameTokens) {
  auto const vocabulary = vocabulary_of({"a", "b", "c", "bc", "ab", "abc"});
  auto const refused = [&](std::string_view text) {
    auto const scores = scores_of_merges(merges(text), vocabulary);
    return scores ? "no error" : scores.error().message;
  };
  auto const apart = refused(R"([["b","c"],["a","bc"],["a","b"],["ab","c"]])");
  EXPECT_NE(apart.find("do not stand together"), std::string::npos) << apart;
  auto const missing = refused(R"([["b","c"],["a","b"],["ab","c"]])");
  EXPECT_NE(missing.find("not all those that make 'abc'"), std::string::npos) << missing;
}

TEST(MergeScores, NameWhatIsBroken) {
  auto const vocabulary = vocabulary_of({"a", "b", "ab"});
  auto const broken = [&](std::string_view text) {
    auto const scores = scores_of_merges(merges(text), vocabulary);
    return scores ? "no error" : scores.error().message;
  };
  EXPECT_NE(broken(R"([["a","x"]])").find("'a' with 'x'"), std::string::npos);
  EXPECT_NE(broken(R"([["b","a"]])").find("'b' with 'a'"), std::string::npos);
  EXPECT_NE(broken(R"([["a","b"],["a","b"]])").find("twice"), std::string::npos);
  for (auto const* text : {"[7]", "[[]]", R"([["a"]])", R"(["ab"])", R"([["a",1]])"})
    EXPECT_NE(broken(text).find("'merges' must be"), std::string::npos) << text;
}

}  // namespace
}  // namespace homelab::loader
