#include "loader/model_plan.h"

#include <gtest/gtest.h>

#include "loader/virtual_gguf.h"
#include "unit/engine_loader/small_model.h"

namespace homelab::loader {
namespace {

constexpr std::uint32_t kHidden = 8;
constexpr std::uint32_t kRows = 3;

constexpr char kConfig[] =
    R"({"architectures":["LlamaForCausalLM"],"hidden_size":8,"intermediate_size":8,
        "num_attention_heads":2,"num_hidden_layers":1,"vocab_size":3,"tie_word_embeddings":true,
        "eos_token_id":2})";

class SmallLlama : public SmallModel {
 public:
  SmallLlama() : SmallModel(kConfig) {
    tensor("model.embed_tokens.weight", {kRows, kHidden});
    tensor("model.norm.weight", {kHidden});
    std::string const layer = "model.layers.0.";
    for (auto const* norm : {"input_layernorm", "post_attention_layernorm"})
      tensor(layer + norm + ".weight", {kHidden});
    for (auto const* part : {"q", "k", "v", "o"})
      tensor(layer + "self_attn." + part + "_proj.weight", {kHidden, kHidden});
    for (auto const* part : {"gate", "up", "down"})
      tensor(layer + "mlp." + part + "_proj.weight", {kHidden, kHidden});
    write();
  }
};

TEST(ModelPlan, InterleavesTheHalvesOfEachHead) {
  SmallLlama const model;
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  auto const query = content<std::uint16_t>(named(**plan, "blk.0.attn_q.weight"));
  std::vector<std::uint32_t> rows;
  for (std::uint32_t row = 0; row < kHidden; ++row)
    rows.push_back(static_cast<std::uint32_t>(widened(query[row * kHidden])) / kHidden);
  EXPECT_EQ(rows, (std::vector<std::uint32_t>{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_TRUE(named(**plan, "blk.0.attn_v.weight").is_copy());
}

TEST(ModelPlan, WidensNormsToSinglePrecision) {
  SmallLlama const model;
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  auto const& norm = named(**plan, "output_norm.weight");
  EXPECT_EQ(norm.type, GgmlType::kF32);
  EXPECT_EQ(content<float>(norm), (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(ModelPlan, LeavesOutTheOutputOfATiedModelEvenIfItIsThere) {
  SmallLlama model;
  model.tensor("lm_head.weight", {kRows, kHidden});
  model.write();
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_THROW(named(**plan, "output.weight"), std::runtime_error);
}

TEST(ModelPlan, NamesATensorItHasNoPlaceFor) {
  SmallLlama model;
  model.tensor("model.layers.0.extra.weight", {kHidden});
  model.write();
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message.find("model.layers.0.extra.weight"), std::string::npos);
}

TEST(VirtualGguf, IsTheSameFileHoweverItIsRead) {
  SmallLlama const model;
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  auto const at_once = read_all(open_virtual_gguf(*plan, nullptr)->get(), 1U << 20U);
  ASSERT_EQ(at_once.size(), (*plan)->size_bytes());
  EXPECT_EQ(at_once.substr(0, 4), "GGUF");
  EXPECT_EQ((*plan)->header().size() % kGgufAlignment, 0U);
  for (std::size_t const piece : {1U, 3U, 31U, 64U, 1000U})
    EXPECT_EQ(read_all(open_virtual_gguf(*plan, nullptr)->get(), piece), at_once) << piece;
}

TEST(VirtualGguf, FindsEachTensorAtItsOffset) {
  SmallLlama const model;
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  auto const file = open_virtual_gguf(*plan, nullptr);
  for (auto const& tensor : (*plan)->tensors()) {
    auto const expected = content<char>(tensor);
    std::vector<char> got(tensor.bytes);
    ASSERT_EQ(std::fseek(file->get(), static_cast<long>((*plan)->header().size() + tensor.offset),
                         SEEK_SET),
              0);
    ASSERT_EQ(std::fread(got.data(), 1, got.size(), file->get()), got.size());
    EXPECT_EQ(got, expected) << tensor.name;
  }
}

TEST(VirtualGguf, KnowsItsEndAndRefusesToGoBeforeItsBeginning) {
  SmallLlama const model;
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  auto const file = open_virtual_gguf(*plan, nullptr);
  ASSERT_EQ(std::fseek(file->get(), 0, SEEK_END), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(std::ftell(file->get())), (*plan)->size_bytes());
  EXPECT_NE(std::fseek(file->get(), -1, SEEK_SET), 0);
}

TEST(VirtualGguf, TellsWhyAReadFailed) {
  SmallLlama const model;
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  std::filesystem::resize_file(model.folder / "model.safetensors", 100);
  std::string reason;
  auto const file = open_virtual_gguf(*plan, &reason);
  EXPECT_LT(read_all(file->get(), 4096).size(), (*plan)->size_bytes());
  EXPECT_NE(reason.find("model.safetensors"), std::string::npos);
}

}  // namespace
}  // namespace homelab::loader
