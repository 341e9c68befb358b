#include "local_model.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace homelab::engine {
namespace {

TEST(LocalModel, TellsPathsFromRepositories) {
  for (auto const path : {"/models/x", "~/x", "./x", "../x.gguf"})
    EXPECT_TRUE(is_local_path(path)) << path;
  for (auto const repo : {"org/name", "name", "org/name:Q4_1", ".hidden"})
    EXPECT_FALSE(is_local_path(repo)) << repo;
}

TEST(LocalModel, AGgufFileIsAModelOfItsSize) {
  test::TempDir folder;
  auto const file = folder.write("m.gguf", "12345");
  auto const model = find_local_model(file.string());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->model_path, file);
  EXPECT_EQ(model->total_bytes, 5U);
}

TEST(LocalModel, CountsAllShardsOfTheChosenFile) {
  test::TempDir folder;
  auto const first = folder.write("m-00001-of-00002.gguf", "123");
  folder.write("m-00002-of-00002.gguf", "4567");
  folder.write("other-00001-of-00002.gguf", "9");
  auto const model = find_local_model(first.string());
  ASSERT_TRUE(model);
  EXPECT_EQ(model->total_bytes, 7U);
}

TEST(LocalModel, AFolderWithConfigAndSafetensorsIsAModel) {
  test::TempDir folder;
  folder.write("config.json", "{}");
  folder.write("model.safetensors", "12345678");
  auto const model = find_local_model(folder.path().string());
  ASSERT_TRUE(model);
  EXPECT_EQ(model->model_path, folder.path());
  EXPECT_EQ(model->total_bytes, 10U);
}

TEST(LocalModel, AFolderWithOneGgufIsThatFile) {
  test::TempDir folder;
  folder.write("mmproj-m.gguf", "x");
  auto const first = folder.write("m-00001-of-00002.gguf", "12");
  folder.write("m-00002-of-00002.gguf", "34");
  auto const model = find_local_model(folder.path().string());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->model_path, first);
  EXPECT_EQ(model->total_bytes, 4U);
}

TEST(LocalModel, SaysWhatIsWrongWithAPath) {
  test::TempDir folder;
  EXPECT_EQ(find_local_model((folder / "absent").string()).error().code, Code::kNotFound);
  EXPECT_EQ(find_local_model(folder.path().string()).error().code, Code::kInvalidArgument);
  EXPECT_EQ(find_local_model(folder.write("pytorch_model.bin", "x").string()).error().code,
            Code::kInvalidArgument);
  folder.write("a.gguf", "1");
  folder.write("b.gguf", "1");
  auto const two = find_local_model(folder.path().string());
  ASSERT_FALSE(two);
  EXPECT_NE(two.error().message.find("a.gguf"), std::string::npos) << two.error().message;
}

}  // namespace
}  // namespace homelab::engine
