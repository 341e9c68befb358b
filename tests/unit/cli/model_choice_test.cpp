#include "model_choice.h"

#include <gtest/gtest.h>

#include "model_text.h"
#include "support/temp_dir.h"

namespace homelab::cli {
namespace {

std::vector<ModelRow> rows() {
  auto const answer = parse_json(R"j([
    {"model_name":"smol","hf_path":"org/smol","cache_location":"primary","cache_path":"/srv/hf",
     "model_size_mb":100.0,"compatibility_status":"compatible","total_loads":3,
     "last_loaded":"2025-11-16T17:43:12.445678"},
    {"model_name":"Tiny qwen (King Nish)","hf_path":"king/qwen","cache_location":"custom",
     "cache_path":null,"model_size_mb":null,"compatibility_status":null,"total_loads":0,
     "last_loaded":null}])j");
  return *rows_of(*answer);
}

TEST(RowsOfModels, RefuseAnAnswerOfAnotherForm) {
  EXPECT_FALSE(rows_of(json::object{}));
  EXPECT_FALSE(rows_of(json::array{1}));
  EXPECT_FALSE(rows_of(json::array{json::object{{"hf_path", "x"}}}));
  EXPECT_TRUE(rows_of(json::array{})->empty());
}

TEST(RowNamed, ListsWhatThereIsWhenTheNameIsWrong) {
  EXPECT_EQ(row_named(rows(), " smol ")->hf_path, "org/smol");
  auto const wrong = row_named(rows(), "smal");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::kNotFound);
  EXPECT_NE(wrong.error().message.find("smol, Tiny qwen (King Nish)"), std::string::npos);
  EXPECT_NE(row_named({}, "x").error().message.find("no model is registered"), std::string::npos);
}

TEST(ChooseModel, TakesARegisteredNameFirst) {
  EXPECT_EQ(std::get<ModelRow>(*choose_model(rows(), "smol")).hf_path, "org/smol");
}

TEST(ChooseModel, FindsTheModelOfARepository) {
  EXPECT_EQ(std::get<ModelRow>(*choose_model(rows(), "king/qwen")).name, "Tiny qwen (King Nish)");
}

TEST(ChooseModel, ProposesANameForANewRepository) {
  auto const fresh = std::get<NewRegistration>(*choose_model(rows(), "other/thing@v2:Q4_1"));
  EXPECT_EQ(fresh.name, "thing");
  EXPECT_EQ(fresh.hf_path, "other/thing@v2:Q4_1");
}

TEST(ChooseModel, UsesTheLongNameWhenTheShortOneIsTaken) {
  auto const fresh = std::get<NewRegistration>(*choose_model(rows(), "other/smol:Q8_0"));
  EXPECT_EQ(fresh.name, "other-smol-Q8_0") << "no slash: a path of the API must be able to name it";
  auto all = rows();
  all.push_back({"other-smol-Q8_0", "x/y", "primary", {}, {}});
  EXPECT_EQ(choose_model(all, "other/smol:Q8_0").error().code, Code::kAlreadyExists);
}

TEST(ChooseModel, RefusesAWordThatIsNeitherNameNorRepository) {
  auto const wrong = choose_model(rows(), "smal");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Code::kNotFound);
  EXPECT_NE(wrong.error().message.find("ORG/NAME"), std::string::npos);
  EXPECT_EQ(choose_model(rows(), "a/b/c").error().code, Code::kInvalidArgument);
}

TEST(ChooseModel, TakesAnExistingLocalFile) {
  test::TempDir const folder;
  auto const file = folder.write("tiny.gguf", "x");
  auto const fresh = std::get<NewRegistration>(*choose_model(rows(), file.string()));
  EXPECT_EQ(fresh.name, "tiny");
  EXPECT_EQ(fresh.hf_path, file.string());
  EXPECT_EQ(choose_model(rows(), (folder / "missing.gguf").string()).error().code, Code::kNotFound);
}

TEST(ModelTable, ShowsOneLinePerModel) {
  std::string const text = model_table(rows());
  EXPECT_EQ(
      text,
      "NAME                   REPOSITORY  STATUS          SIZE  LOADS  LAST LOADED       LOCATION\n"
      "smol                   org/smol    compatible  104.9 MB      3  2025-11-16 17:43  primary\n"
      "Tiny qwen (King Nish)  king/qwen   unknown            -      0  never             custom\n");
}

TEST(ModelDetails, ShowEveryFieldThatHasAValue) {
  std::string const text = model_details(rows()[0]);
  EXPECT_NE(text.find("model name:"), std::string::npos);
  EXPECT_NE(text.find("104.9 MB"), std::string::npos);
  EXPECT_EQ(model_details(rows()[1]).find("last loaded"), std::string::npos);
}

}  // namespace
}  // namespace homelab::cli
