#include "describe.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace homelab::engine {
namespace {

TEST(Describe, FindsTheJsonLineBetweenLogLines) {
  auto const facts = parse_description(
      "loading {back ends}\n{\"architecture\":\"llama\",\"parameter_count\":12,"
      "\"context_length\":2048,\"default_dtype\":\"torch.bfloat16\",\"model_type\":\"X\"}\nbye\n");
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(facts->architecture, "llama");
  EXPECT_EQ(facts->parameter_count, 12);
  EXPECT_EQ(facts->context_length, 2048);
  EXPECT_EQ(facts->default_dtype, "torch.bfloat16");
  EXPECT_EQ(facts->model_type, "X");
}

TEST(Describe, OutputWithoutJsonIsAnError) {
  EXPECT_EQ(parse_description("{broken\nhello\n").error().code, Code::kDataLoss);
}

TEST(Describe, AsksTheProgram) {
  test::TempDir folder;
  auto const model = folder.write("m.gguf", "x");
  auto const description = describe_model(FAKE_ENGINE, model, folder / "scratch", {});
  ASSERT_TRUE(description.facts) << description.facts.error().message;
  EXPECT_EQ(description.facts->context_length, 2048);
  EXPECT_FALSE(std::filesystem::exists(folder / "scratch"));
}

TEST(Describe, GivesTheProgramsOwnReason) {
  test::TempDir folder;
  auto const model = folder.write("m.gguf", "x");
  folder.write("m.gguf.flags", "--fail-describe architecture 'foo' is not supported\n");
  auto const description = describe_model(FAKE_ENGINE, model, folder / "scratch", {});
  ASSERT_FALSE(description.facts);
  EXPECT_EQ(description.facts.error(),
            (Error{Code::kUnimplemented, "architecture 'foo' is not supported"}));
  EXPECT_FALSE(description.crashed);
}

TEST(Describe, TheDeviceIsTheFirstThatIsNoProcessor) {
  EXPECT_EQ(parse_device(R"({"back_ends":[{"name":"CPU"}]})"), "cpu");
  EXPECT_EQ(parse_device(R"({"back_ends":[{"name":"CUDA0"},{"name":"CPU"}]})"), "cuda:0");
  EXPECT_EQ(parse_device(R"({"back_ends":[{"name":"CPU"},{"name":"Vulkan1"}]})"), "vulkan:1");
  EXPECT_FALSE(parse_device("{}"));
  EXPECT_FALSE(parse_device("no JSON"));
}

TEST(Describe, AsksTheProgramForItsDevice) {
  test::TempDir folder;
  auto const device = find_device(FAKE_ENGINE, folder / "scratch", {});
  ASSERT_TRUE(device) << device.error().message;
  EXPECT_EQ(*device, "cpu");
}

TEST(Describe, AMissingProgramIsAnError) {
  test::TempDir folder;
  auto const description = describe_model("/nonexistent/engine", "/m", folder / "scratch", {});
  ASSERT_FALSE(description.facts);
  EXPECT_NE(description.facts.error().message.find("/nonexistent/engine"), std::string::npos);
}

}  // namespace
}  // namespace homelab::engine
