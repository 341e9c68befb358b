#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace homelab {
namespace {

using ::testing::HasSubstr;

json::object object_of(std::string_view text) { return parse_json(text).value().as_object(); }

TEST(Json, ParsesOneWholeText) {
  EXPECT_EQ(parse_json(R"( {"a":[1,2.5,null,true,"x"]} )").value().at("a").as_array().size(), 5U);
  EXPECT_TRUE(parse_json("0").value().is_int64());
}

TEST(Json, ErrorsCarryThePosition) {
  for (auto const* text :
       {"", "{", "[1,]", "{\"a\":}", "1 2", "nul", "{'a':1}", "NaN", "[1] x", "\"\xFF\""}) {
    auto const parsed = parse_json(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Code::kInvalidArgument);
    EXPECT_THAT(parsed.error().message, HasSubstr("byte "));
  }
  EXPECT_THAT(parse_json("[1, x]").error().message, HasSubstr("byte 4"));
}

TEST(Json, NestingIsBounded) {
  std::string const deep = std::string(64, '[') + std::string(64, ']');
  EXPECT_TRUE(parse_json(deep));
  EXPECT_FALSE(parse_json("[" + deep + "]"));
  EXPECT_FALSE(parse_json("[[1]]", 1));
  EXPECT_FALSE(parse_json(std::string(100'000, '[')));
}

TEST(Json, ReadersGiveNothingForOtherTypes) {
  auto const object =
      object_of(R"({"s":"x","i":7,"w":7.0,"d":7.5,"b":true,"n":null,"o":{},"a":[]})");
  EXPECT_EQ(get_string(object, "s"), "x");
  EXPECT_EQ(get_string(object, "i"), std::nullopt);
  EXPECT_EQ(get_string(object, "n"), std::nullopt);
  EXPECT_EQ(get_string(object, "missing"), std::nullopt);
  EXPECT_EQ(get_int(object, "i"), 7);
  EXPECT_EQ(get_int(object, "w"), 7);
  EXPECT_EQ(get_int(object, "d"), std::nullopt);
  EXPECT_EQ(get_int(object, "s"), std::nullopt);
  EXPECT_EQ(get_double(object, "d"), 7.5);
  EXPECT_EQ(get_double(object, "i"), 7.0);
  EXPECT_EQ(get_double(object, "b"), std::nullopt);
  EXPECT_EQ(get_bool(object, "b"), true);
  EXPECT_EQ(get_bool(object, "i"), std::nullopt);
  EXPECT_NE(get_object(object, "o"), nullptr);
  EXPECT_EQ(get_object(object, "a"), nullptr);
  EXPECT_NE(get_array(object, "a"), nullptr);
  EXPECT_EQ(get_array(object, "missing"), nullptr);
}

TEST(Json, IntegersBeyondTheRangeAreNotRounded) {
  auto const object =
      object_of(R"({"max":9223372036854775807,"over":9223372036854775808,"huge":1e30})");
  EXPECT_EQ(get_int(object, "max"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(get_int(object, "over"), std::nullopt);
  EXPECT_EQ(get_int(object, "huge"), std::nullopt);
}

TEST(Json, AsciiTextEscapesEverythingElse) {
  EXPECT_EQ(to_ascii_json(json::object{{"t", "a\xC3\xA4\xE2\x82\xAC\"\n"}}),
            "{\"t\":\"a\\u00e4\\u20ac\\\"\\n\"}");
  EXPECT_EQ(to_ascii_json(json::string("\xF0\x9F\x98\x80")), "\"\\ud83d\\ude00\"");
  EXPECT_EQ(parse_json(to_ascii_json(json::string("\xF0\x9F\x98\x80 \xC3\xA4"))).value(),
            json::value("\xF0\x9F\x98\x80 \xC3\xA4"));
}

}  // namespace
}  // namespace homelab
