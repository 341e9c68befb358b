#include "validation.h"

#include <gtest/gtest.h>

#include <random>

#include "json_fault.h"

namespace homelab::api {
namespace {

http::Request request_with(std::string body, std::string const& type = "application/json") {
  http::Request request;
  request.body = std::move(body);
  request.headers.set("content-type", type);
  return request;
}

std::string refusal_of(std::string body) {
  auto const request = request_with(std::move(body));
  BodyReader reader(request);
  reader.text("prompt", not_blank("prompt"));
  reader.integer_or("max_tokens", 256, {.low = 1, .high = 4096, .integer = true});
  reader.number_or("temperature", 0.7, {.low = 0, .high = 2});
  reader.boolean_or("do_sample", true);
  reader.optional_number("size", 5000.0);
  reader.optional_text("folder");
  auto const rejection = reader.rejection();
  if (!rejection) return "accepted";
  return std::to_string(rejection->status) + " " + rejection->body;
}

// The expected texts were answered by FastAPI 0.115.0 with pydantic 2.9.2.
TEST(Validation, an_empty_body_is_a_missing_body) {
  std::string const expected =
      R"(422 {"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]})";
  EXPECT_EQ(refusal_of(""), expected);
  EXPECT_EQ(refusal_of("null"), expected);
}

TEST(Validation, a_body_that_is_no_object_is_refused_as_a_whole) {
  EXPECT_EQ(
      refusal_of("[]"),
      R"(422 {"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[]}]})");
}

TEST(Validation, a_body_of_another_type_is_not_read_as_json) {
  auto const request = request_with(R"({"a":1})", "text/plain");
  BodyReader reader(request);
  EXPECT_EQ(reader.text("a"), "");
  auto const rejection = reader.rejection();
  ASSERT_TRUE(rejection);
  EXPECT_NE(rejection->body.find("model_attributes_type"), std::string::npos);
}

TEST(Validation, every_bad_field_is_reported_in_order_with_its_input) {
  EXPECT_EQ(
      refusal_of(
          R"({"prompt":1,"max_tokens":0,"temperature":5,"do_sample":"maybe","size":"x","folder":3})"),
      R"(422 {"detail":[{"type":"string_type","loc":["body","prompt"],"msg":"Input should be a valid string","input":1},)"
      R"({"type":"greater_than_equal","loc":["body","max_tokens"],"msg":"Input should be greater than or equal to 1","input":0,"ctx":{"ge":1}},)"
      R"({"type":"less_than_equal","loc":["body","temperature"],"msg":"Input should be less than or equal to 2","input":5,"ctx":{"le":2.0}},)"
      R"({"type":"bool_parsing","loc":["body","do_sample"],"msg":"Input should be a valid boolean, unable to interpret input","input":"maybe"},)"
      R"({"type":"float_parsing","loc":["body","size"],"msg":"Input should be a valid number, unable to parse string as a number","input":"x"},)"
      R"({"type":"string_type","loc":["body","folder"],"msg":"Input should be a valid string","input":3}]})");
}

TEST(Validation, a_missing_field_shows_the_whole_body) {
  EXPECT_EQ(
      refusal_of(R"({"max_tokens":5})"),
      R"(422 {"detail":[{"type":"missing","loc":["body","prompt"],"msg":"Field required","input":{"max_tokens":5}}]})");
}

TEST(Validation, a_blank_text_is_a_value_error) {
  EXPECT_EQ(
      refusal_of(R"({"prompt":" \t"})"),
      R"(422 {"detail":[{"type":"value_error","loc":["body","prompt"],"msg":"Value error, prompt must not be blank","input":" \t","ctx":{"error":{}}}]})");
}

TEST(Validation, null_and_unknown_keys_are_accepted_where_the_contract_says_so) {
  EXPECT_EQ(refusal_of(R"({"prompt":"a","size":null,"folder":null,"nobody":[{}]})"), "accepted");
}

TEST(Validation, bytes_that_are_no_text_are_a_bad_request) {
  EXPECT_EQ(refusal_of("\xff"), R"(400 {"detail":"There was an error parsing the body"})");
}

TEST(Validation, nesting_without_end_is_refused_without_crashing) {
  std::string const deep(200000, '[');
  EXPECT_EQ(refusal_of(deep).substr(0, 3), "422");
}

struct FaultCase {
  std::string text;
  std::size_t offset;
  std::string message;
};

// Offsets and words are those of Python's json module.
TEST(JsonFault, is_found_where_python_finds_it) {
  FaultCase const cases[] = {
      {"{", 1, "Expecting property name enclosed in double quotes"},
      {R"({"a")", 4, "Expecting ':' delimiter"},
      {R"({"a":)", 5, "Expecting value"},
      {R"({"a":1,})", 7, "Expecting property name enclosed in double quotes"},
      {"[1,]", 3, "Expecting value"},
      {R"({"a":1 "b"})", 7, "Expecting ',' delimiter"},
      {R"({"a" 1})", 5, "Expecting ':' delimiter"},
      {R"("abc)", 0, "Unterminated string starting at"},
      {"\"a\nb\"", 2, "Invalid control character at"},
      {R"("\x")", 1, "Invalid \\escape"},
      {R"("\u12")", 2, "Invalid \\uXXXX escape"},
      {"1 2", 2, "Extra data"},
      {"tru", 0, "Expecting value"},
      {R"({"a":01})", 6, "Expecting ',' delimiter"},
      {"   ", 3, "Expecting value"},
      {"{\"\xc3\xa9\": x}", 6, "Expecting value"},
      {"-", 0, "Expecting value"},
  };
  for (auto const& [text, offset, message] : cases) {
    auto const fault = find_json_fault(text);
    ASSERT_TRUE(fault) << text;
    EXPECT_EQ(fault->offset, offset) << text;
    EXPECT_EQ(fault->message, message) << text;
  }
}

TEST(JsonFault, is_absent_from_what_the_grammar_allows) {
  for (std::string const text : {R"({"a":[1,2.5e-3,{"b":null}],"c":"\u00e9\n"})", "[]", "{}",
                                 " true ", "-0", "1E5", R"([[],{}])"})
    EXPECT_FALSE(find_json_fault(text)) << text;
}

TEST(JsonFault, is_found_exactly_when_the_parser_refuses) {
  // No 'd': without it no half of a surrogate pair can arise, which is all that grammar and parser
  // differ in here.
  constexpr std::string_view kPieces[] = {"{",     "}", "[",  "]",       ",",  ":",  "\"",
                                          "\"a\"", "0", "1",  "-",       ".5", "e+", "true",
                                          "null",  " ", "\\", "\\u00e9", "\n", "x"};
  std::mt19937 random(20251116);
  int valid = 0;
  for (int round = 0; round < 50000; ++round) {
    std::string text;
    for (std::size_t length = random() % 8; length > 0; --length)
      text += kPieces[random() % std::size(kPieces)];
    bool const parses = parse_json(text).has_value();
    valid += parses ? 1 : 0;
    ASSERT_NE(find_json_fault(text).has_value(), parses) << text;
  }
  EXPECT_GT(valid, 500);
}

std::string shown(Lenient<std::int64_t> const& value) {
  return value ? std::to_string(*value) : value.error().type;
}

TEST(Lenient, integers_accept_what_pydantic_accepts) {
  EXPECT_EQ(shown(to_integer(5)), "5");
  EXPECT_EQ(shown(to_integer(5.0)), "5");
  EXPECT_EQ(shown(to_integer(true)), "1");
  EXPECT_EQ(shown(to_integer("7")), "7");
  EXPECT_EQ(shown(to_integer(" +7 ")), "7");
  EXPECT_EQ(shown(to_integer("-007")), "-7");
  EXPECT_EQ(shown(to_integer("5.00")), "5");
  EXPECT_EQ(shown(to_integer("1_000")), "1000");
  EXPECT_EQ(shown(to_integer("1__0")), "int_parsing");
  EXPECT_EQ(shown(to_integer("5.")), "int_parsing");
  EXPECT_EQ(shown(to_integer("")), "int_parsing");
  EXPECT_EQ(shown(to_integer("0x5")), "int_parsing");
  EXPECT_EQ(shown(to_integer(5.5)), "int_from_float");
  EXPECT_EQ(shown(to_integer(nullptr)), "int_type");
  EXPECT_EQ(shown(to_integer(json::array())), "int_type");
  EXPECT_EQ(shown(to_integer(1e20)), "9223372036854775807");
  EXPECT_EQ(shown(to_integer("99999999999999999999")), "9223372036854775807");
}

std::string shown(Lenient<bool> const& value) {
  return value ? (*value ? "true" : "false") : value.error().type;
}

TEST(Lenient, booleans_accept_what_pydantic_accepts) {
  EXPECT_EQ(shown(to_boolean(true)), "true");
  EXPECT_EQ(shown(to_boolean(0)), "false");
  EXPECT_EQ(shown(to_boolean(1.0)), "true");
  EXPECT_EQ(shown(to_boolean("YES")), "true");
  EXPECT_EQ(shown(to_boolean("off")), "false");
  EXPECT_EQ(shown(to_boolean(" yes")), "bool_parsing");
  EXPECT_EQ(shown(to_boolean(2)), "bool_parsing");
  EXPECT_EQ(shown(to_boolean(0.5)), "bool_type");
  EXPECT_EQ(shown(to_boolean(5.0)), "bool_parsing");
  EXPECT_EQ(shown(to_boolean(nullptr)), "bool_type");
}

std::string shown(Lenient<double> const& value) {
  return value ? std::to_string(*value) : value.error().type;
}

TEST(Lenient, numbers_accept_what_pydantic_accepts_and_never_infinities) {
  EXPECT_EQ(shown(to_number("0.5")), "0.500000");
  EXPECT_EQ(shown(to_number(".5")), "0.500000");
  EXPECT_EQ(shown(to_number("1.")), "1.000000");
  EXPECT_EQ(shown(to_number("-1e1")), "-10.000000");
  EXPECT_EQ(shown(to_number("+1")), "1.000000");
  EXPECT_EQ(shown(to_number(true)), "1.000000");
  EXPECT_EQ(shown(to_number("1_0")), "10.000000");
  EXPECT_EQ(shown(to_number("1__0")), "float_parsing");
  EXPECT_EQ(shown(to_number("-+1")), "float_parsing");
  EXPECT_EQ(shown(to_number("+-1")), "float_parsing");
  EXPECT_EQ(shown(to_number(".")), "float_parsing");
  EXPECT_EQ(shown(to_number("")), "float_parsing");
  EXPECT_EQ(shown(to_number("inf")), "finite_number");
  EXPECT_EQ(shown(to_number("-NaN")), "finite_number");
  EXPECT_EQ(shown(to_number(json::object())), "float_type");
}

TEST(Names, blanks_around_slashes_of_a_hub_path_go) {
  EXPECT_EQ(*clean_hub_path("hf_path")(" tiny / model "), "tiny/model");
  EXPECT_EQ(*clean_hub_path("hf_path")("/srv/my model"), "/srv/my model");
  EXPECT_FALSE(clean_hub_path("hf_path")("   "));
}

TEST(QueryFlag, takes_the_last_of_several_and_refuses_what_is_no_boolean) {
  http::Request request;
  EXPECT_EQ(*query_flag(request, "f", true), true);
  request.query = "f=true&f=0";
  EXPECT_EQ(*query_flag(request, "f", true), false);
  request.query = "f=";
  auto const refused = query_flag(request, "f", false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(
      refused.error().body,
      R"({"detail":[{"type":"bool_parsing","loc":["query","f"],"msg":"Input should be a valid boolean, unable to interpret input","input":""}]})");
}

}  // namespace
}  // namespace homelab::api
