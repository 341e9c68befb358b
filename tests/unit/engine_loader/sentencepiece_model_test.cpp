#include "loader/sentencepiece_model.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>

namespace homelab::loader {
namespace {

std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7U) out += static_cast<char>(value | 0x80U);
  return out + static_cast<char>(value);
}

std::string number(unsigned field, std::uint64_t value) {
  return varint(field << 3U) + varint(value);
}

std::string bytes(unsigned field, std::string const& content) {
  return varint(field << 3U | 2U) + varint(content.size()) + content;
}

std::string real(unsigned field, float value) {
  auto const bits = std::bit_cast<std::uint32_t>(value);
  std::string out = varint(field << 3U | 5U);
  for (unsigned shift = 0; shift < 32; shift += 8) out += static_cast<char>(bits >> shift);
  return out;
}

std::string piece(std::string const& text, float score = 0, std::uint64_t type = 1) {
  return bytes(1, bytes(1, text) + real(2, score) + number(3, type));
}

/// The message of the error, which must be there.
std::string error_of(std::string const& model) {
  auto const parsed = parse_sentencepiece_model(model);
  return parsed ? "no error" : parsed.error().message;
}

TEST(SentencePieceModel, GivesPiecesAndTheSettingsThatChangeTokens) {
  auto const model = parse_sentencepiece_model(
      piece("<unk>", 0, 2) + piece("▁a", -1.5F) + bytes(2, number(3, 2) + number(24, 1)) +
      bytes(3,
            bytes(1, "nmt_nfkc") + bytes(2, "map") + number(3, 0) + number(4, 0) + number(5, 0)));
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_EQ(model->pieces.size(), 2U);
  EXPECT_EQ(model->pieces[0].type, 2U);
  EXPECT_EQ(model->pieces[1].text, "▁a");
  EXPECT_EQ(model->pieces[1].score, -1.5F);
  EXPECT_EQ(model->model_type, 2U);
  EXPECT_TRUE(model->treats_space_as_suffix);
  EXPECT_TRUE(model->has_character_map);
  EXPECT_FALSE(model->adds_dummy_prefix);
  EXPECT_FALSE(model->removes_extra_spaces);
  EXPECT_FALSE(model->escapes_spaces);
}

TEST(SentencePieceModel, HasTheDefaultsOfTheFormat) {
  auto const model = parse_sentencepiece_model(bytes(1, bytes(1, "a")));
  ASSERT_TRUE(model);
  EXPECT_EQ(model->pieces[0].type, 1U);
  EXPECT_EQ(model->pieces[0].score, 0);
  EXPECT_EQ(model->model_type, 1U) << "unigram";
  EXPECT_TRUE(model->adds_dummy_prefix);
  EXPECT_TRUE(model->removes_extra_spaces);
  EXPECT_FALSE(model->has_character_map);
}

TEST(SentencePieceModel, PassesOverFieldsThatItDoesNotKnow) {
  auto const model = parse_sentencepiece_model(number(99, 1) + bytes(4, "self test") +
                                               bytes(1, bytes(1, "a") + bytes(200, "later")) +
                                               varint(9U << 3U | 1U) + std::string(8, 'x'));
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->pieces.size(), 1U);
}

TEST(SentencePieceModel, NamesWhatIsBroken) {
  EXPECT_NE(error_of("").find("no pieces"), std::string::npos);
  EXPECT_NE(error_of(varint(10) + varint(UINT64_MAX)).find("field 1 is cut off"),
            std::string::npos);
  EXPECT_NE(error_of(std::string(11, '\xff')).find("cut off"), std::string::npos);
  EXPECT_NE(error_of(varint(1U << 3U | 3U)).find("wire type 3"), std::string::npos);
  EXPECT_NE(error_of(varint(2) + varint(0)).find("invalid number"), std::string::npos);
  EXPECT_NE(error_of(bytes(1, "")).find("pieces at byte 2: there is no text"), std::string::npos);
  EXPECT_NE(error_of(piece("\xff")).find("not UTF-8"), std::string::npos);
  EXPECT_NE(error_of(piece(std::string(65'537, 'a'))).find("64 KiB"), std::string::npos);
  EXPECT_NE(error_of(piece("a", 0, 7)).find("the type is 7"), std::string::npos);
  EXPECT_NE(error_of(piece("a", std::numeric_limits<float>::quiet_NaN())).find("score of 'a'"),
            std::string::npos);
  EXPECT_NE(error_of(piece("a") + bytes(2, number(3, 9))).find("trainer_spec"), std::string::npos);
}

TEST(SentencePieceModel, IsRefusedWhereverItIsCutOff) {
  auto const whole = piece("<unk>", 0, 2) + piece("a");
  auto const first = piece("<unk>", 0, 2).size();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    if (size == first) continue;
    EXPECT_FALSE(parse_sentencepiece_model(whole.substr(0, size))) << size;
  }
  EXPECT_TRUE(parse_sentencepiece_model(whole));
}

}  // namespace
}  // namespace homelab::loader
