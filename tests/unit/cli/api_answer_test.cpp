#include "api_answer.h"

#include <gtest/gtest.h>

#include "exit_code.h"

namespace homelab::cli {
namespace {

TEST(ErrorOfAnswer, ShowsTheServersDetailAsItIs) {
  EXPECT_EQ(error_of_answer(404, R"({"detail":"Model 'x' not found"})"),
            (Error{Code::kNotFound, "Model 'x' not found"}));
  EXPECT_EQ(error_of_answer(507, R"({"detail":"no space"})").code, Code::kResourceExhausted);
}

TEST(ErrorOfAnswer, NamesTheFieldsOfAValidationError) {
  auto const error = error_of_answer(
      422,
      R"({"detail":[{"type":"missing","loc":["body","prompt"],"msg":"Field required"},
                    {"type":"x","loc":["body","top_p"],"msg":"Too large"}]})");
  EXPECT_EQ(error, (Error{Code::kInvalidArgument, "prompt: Field required; top_p: Too large"}));
}

TEST(ErrorOfAnswer, SurvivesValidationEntriesOfAnyForm) {
  EXPECT_EQ(
      error_of_answer(422, R"({"detail":[1,{"loc":[],"msg":"m"},{"loc":["body",3],"msg":"n"},{}]})")
          .message,
      "1; m; n; not valid");
}

TEST(ErrorOfAnswer, ReadsTheOpenAiForm) {
  EXPECT_EQ(error_of_answer(503, R"({"error":{"message":"no model is loaded","code":503}})"),
            (Error{Code::kUnavailable, "no model is loaded"}));
}

TEST(ErrorOfAnswer, QuotesTheStartOfAForeignBody) {
  auto const error = error_of_answer(500, "  Internal Server Error\n");
  EXPECT_EQ(error,
            (Error{Code::kInternal, "the server answered with status 500: Internal Server Error"}));
  EXPECT_LT(error_of_answer(502, std::string(10'000, 'x')).message.size(), 300U);
  EXPECT_EQ(error_of_answer(500, "").message, "the server answered with status 500");
}

TEST(ErrorOfAnswer, GivesRefusalsExitCodeOneAndBadInputExitCodeTwo) {
  EXPECT_EQ(exit_code(error_of_answer(400, R"({"detail":"x"})").code), kExitFailed);
  EXPECT_EQ(exit_code(error_of_answer(422, R"({"detail":"x"})").code), kExitUsage);
  EXPECT_EQ(exit_code(error_of_answer(500, R"({"detail":"x"})").code), kExitFailed);
}

TEST(ValueOfAnswer, RefusesWhatIsNoJson) {
  EXPECT_TRUE(value_of_answer(R"([1])"));
  auto const answer = value_of_answer("<html>");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kDataLoss);
  EXPECT_NE(answer.error().message.find("another program"), std::string::npos);
}

TEST(BaseUrl, ReachesAServerThatListensEverywhere) {
  EXPECT_EQ(base_url_of("127.0.0.1", 8000), "http://127.0.0.1:8000");
  EXPECT_EQ(base_url_of("0.0.0.0", 1), "http://127.0.0.1:1");
  EXPECT_EQ(base_url_of("", 1), "http://127.0.0.1:1");
  EXPECT_EQ(base_url_of("::", 1), "http://[::1]:1");
  EXPECT_EQ(base_url_of("fe80::1", 1), "http://[fe80::1]:1");
  EXPECT_EQ(base_url_of("[::1]", 1), "http://[::1]:1");
  EXPECT_EQ(base_url_of("box.lan", 80), "http://box.lan:80");
}

}  // namespace
}  // namespace homelab::cli
