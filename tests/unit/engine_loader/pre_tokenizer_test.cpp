#include "loader/pre_tokenizer.h"

#include <gtest/gtest.h>

namespace homelab::loader {
namespace {

json::object with(std::string_view pre_tokenizer) {
  return parse_json(R"({"normalizer":null,"model":{},"pre_tokenizer":)" +
                    std::string(pre_tokenizer) + "}")
      ->get_object();
}

constexpr char kSmolLm[] =
    R"({"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},
  {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]})";

TEST(PreTokenizer, IsFoundByWhatItDoesNotByHowItIsWritten) {
  EXPECT_EQ(match_pre_tokenizer(with(kSmolLm))->name, "smollm");
  EXPECT_EQ(
      match_pre_tokenizer(
          with(R"({"type":"Sequence","pretokenizers":[{"individual_digits":true,"type":"Digits"},
    {"type":"Sequence","pretokenizers":[{"type":"ByteLevel","add_prefix_space":false}]}]})"))
          ->name,
      "smollm");
  EXPECT_EQ(match_pre_tokenizer(with(R"({"type":"ByteLevel","add_prefix_space":false})"))->name,
            "gpt-2");
}

TEST(PreTokenizer, IsNeverGuessed) {
  auto const refused = match_pre_tokenizer(with(R"({"type":"Metaspace","replacement":"_"})"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnimplemented);
  EXPECT_NE(refused.error().message.find("metaspace"), std::string::npos);
  EXPECT_FALSE(match_pre_tokenizer(with("null")));
  EXPECT_FALSE(match_pre_tokenizer(with("7")));
  EXPECT_FALSE(match_pre_tokenizer(with(R"({"type":"ByteLevel"})")));
  EXPECT_FALSE(match_pre_tokenizer({}));
}

TEST(PreTokenizer, MustAgreeWithTheWayMergesAreUsed) {
  auto object = with(kSmolLm);
  object["model"].get_object()["ignore_merges"] = true;
  EXPECT_FALSE(match_pre_tokenizer(object));
}

}  // namespace
}  // namespace homelab::loader
