#include "registry/compatibility.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace homelab::registry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Model model_with(std::int64_t loads, std::string path = "org/name") {
  Model model;
  model.model_name = "mine";
  model.hf_path = std::move(path);
  model.total_loads = loads;
  model.compatibility_notes = "old";
  return model;
}

Error error_of(std::string message, Code code = Code::kInternal) {
  return {code, std::move(message)};
}

TEST(Compatibility, ASuccessMakesEverythingButDegradedCompatible) {
  for (auto const* status : {"unknown", "testing", "incompatible", "compatible"})
    EXPECT_EQ(status_after_success(status), "compatible") << status;
  EXPECT_EQ(status_after_success(std::nullopt), "compatible");
  EXPECT_EQ(status_after_success("degraded"), "degraded");
}

TEST(Compatibility, ACrashOfAProvenModelIsIntermittent) {
  auto const verdict = verdict_after_failure(error_of("Assertion failed: x > 0"), false,
                                             model_with(3), "compatible");
  EXPECT_EQ(verdict.status, "degraded");
  EXPECT_THAT(*verdict.notes, HasSubstr("after 3 successful loads"));
  EXPECT_THAT(*verdict.notes, HasSubstr("Assertion failed: x > 0"));
}

TEST(Compatibility, ACrashOfANewModelCondemnsIt) {
  for (auto const* text :
       {"CreateContext failed", "no FLASH-ATTENTION here", "Aborted (core dumped)", "assertion"}) {
    auto const verdict = verdict_after_failure(error_of(text), false, model_with(2), "unknown");
    EXPECT_EQ(verdict.status, "incompatible") << text;
    EXPECT_THAT(*verdict.notes, HasSubstr("ardware")) << text;
  }
}

TEST(Compatibility, ADeadEngineIsACrashWhateverItSays) {
  auto const verdict = verdict_after_failure(error_of("the engine ended", Code::kUnavailable), true,
                                             model_with(5), "compatible");
  EXPECT_EQ(verdict.status, "degraded");
}

TEST(Compatibility, OtherErrorsCondemnWithTheirText) {
  auto const verdict =
      verdict_after_failure(error_of("architecture xyz is unknown", Code::kUnimplemented), false,
                            model_with(9), "compatible");
  EXPECT_EQ(verdict.status, "incompatible");
  EXPECT_THAT(*verdict.notes, HasSubstr("architecture xyz"));
  EXPECT_THAT(*verdict.notes, Not(HasSubstr("ardware")));
}

TEST(Compatibility, TroubleOfTheSurroundingsLeavesTheModelAlone) {
  for (Code const code : {Code::kUnavailable, Code::kCancelled, Code::kDeadlineExceeded,
                          Code::kResourceExhausted, Code::kPermissionDenied}) {
    auto const verdict =
        verdict_after_failure(error_of("assertion", code), false, model_with(0), "compatible");
    EXPECT_EQ(verdict.status, "compatible");
    EXPECT_EQ(verdict.notes, "old");
  }
  EXPECT_EQ(
      verdict_after_failure(error_of("x", Code::kUnavailable), false, model_with(0), std::nullopt)
          .status,
      std::nullopt);
}

TEST(Compatibility, TestingIsNeverRestored) {
  auto const verdict =
      verdict_after_failure(error_of("x", Code::kCancelled), false, model_with(0), "testing");
  EXPECT_EQ(verdict.status, "unknown");
}

TEST(Compatibility, NamesInTheErrorAreNoCrash) {
  auto const model = model_with(5, "someone/Assertion-Tester");
  for (auto const* text :
       {"load someone/assertion-tester: no such file",
        "look at models--someone--Assertion-Tester: no", "Assertion-Tester has no tokenizer"})
    EXPECT_EQ(verdict_after_failure(error_of(text), false, model, "compatible").status,
              "incompatible")
        << text;
  EXPECT_EQ(verdict_after_failure(error_of("load someone/assertion-tester: assertion failed"),
                                  false, model, "compatible")
                .status,
            "degraded");
}

TEST(Compatibility, AShortNameTakesNothingOutOfOtherWords) {
  auto model = model_with(5, "on");
  model.model_name = "a";
  EXPECT_EQ(verdict_after_failure(error_of("assertion failed"), false, model, "compatible").status,
            "degraded");
}

TEST(Compatibility, LongErrorsAreCutBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "\xC3\xA4";
  auto const other = *verdict_after_failure(error_of(text), false, model_with(0), "unknown").notes;
  EXPECT_EQ(std::count(other.begin(), other.end(), '\xC3'), 200);
  EXPECT_TRUE(other.ends_with("\xC3\xA4"));
  auto const degraded =
      *verdict_after_failure(error_of(text), true, model_with(3), "unknown").notes;
  EXPECT_EQ(std::count(degraded.begin(), degraded.end(), '\xC3'), 150);
}

TEST(Repetition, NeedsFiftyCharactersAndTenWords) {
  EXPECT_FALSE(is_repetitive(""));
  EXPECT_FALSE(
      is_repetitive("aaaa aaaa aaaa aaaa aaaa aaaa aaaa aaaa aaaa aaaa"));  // 49 characters
  EXPECT_TRUE(is_repetitive("aaaa aaaa aaaa aaaa aaaa aaaa aaaa aaaa aaaa aaaaa"));
  EXPECT_FALSE(is_repetitive("aaaaaaaaaaaa aaaaaaaaaaaa aaaaaaaaaaaa aaaaaaaaaaaa aaaaaaaaaaaa"));
}

TEST(Repetition, ExactlyThirtyPercentOfTenWordsCounts) {
  EXPECT_TRUE(
      is_repetitive("alpha bravo charlie delta echoes foxtrot golf golf golf golf"));  // 7 of 10
  EXPECT_FALSE(
      is_repetitive("alpha bravo charlie delta echoes foxtrot golf hotel golf golf"));  // 8 of 10
}

TEST(Repetition, IgnoresCaseAndKindsOfBlanks) {
  EXPECT_TRUE(is_repetitive("Alpha bravo\tcharlie delta\nechoes foxtrot  Golf gOlf\r\nGOLF golf"));
}

}  // namespace
}  // namespace homelab::registry
