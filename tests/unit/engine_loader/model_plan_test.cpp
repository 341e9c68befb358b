#include "loader/model_plan.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>

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

/// Six query heads that are too large to be made at once.
class WideLlama : public SmallModel {
 public:
  static constexpr std::uint64_t kHeads = 6;
  static constexpr std::uint64_t kHeadSize = 65536;

  WideLlama()
      : SmallModel(
            R"({"architectures":["LlamaForCausalLM"],"hidden_size":8,"intermediate_size":8,
        "num_attention_heads":6,"num_key_value_heads":1,"head_dim":65536,"num_hidden_layers":1,
        "vocab_size":3,"tie_word_embeddings":true,"eos_token_id":2})") {
    tensor("model.embed_tokens.weight", {kRows, kHidden});
    tensor("model.norm.weight", {kHidden});
    std::string const layer = "model.layers.0.";
    for (auto const* norm : {"input_layernorm", "post_attention_layernorm"})
      tensor(layer + norm + ".weight", {kHidden});
    tensor(layer + "self_attn.q_proj.weight", {kHeads * kHeadSize, kHidden});
    tensor(layer + "self_attn.k_proj.weight", {kHeadSize, kHidden});
    tensor(layer + "self_attn.v_proj.weight", {kHeadSize, kHidden});
    tensor(layer + "self_attn.o_proj.weight", {kHidden, kHeads * kHeadSize});
    for (auto const* part : {"gate", "up", "down"})
      tensor(layer + "mlp." + part + "_proj.weight", {kHidden, kHidden});
    write();
  }
};

TEST(ModelPlan, MakesALargeTensorInSlicesOfWholeHeads) {
  WideLlama const model;
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  auto const& query = named(**plan, "blk.0.attn_q.weight");
  ASSERT_LT(query.slice_rows(), query.part_rows());
  EXPECT_EQ(query.slice_rows() % WideLlama::kHeadSize, 0U);
  auto const rows = content<std::uint16_t>(query);
  std::uint64_t constexpr kHalf = WideLlama::kHeadSize / 2;
  for (std::uint64_t row = 0; row < query.part_rows(); row += 1009) {
    auto const in_head = row % WideLlama::kHeadSize;
    auto const source = row - in_head + (in_head % 2) * kHalf + in_head / 2;
    auto const cut = std::bit_cast<std::uint32_t>(static_cast<float>(source * kHidden)) >> 16U;
    ASSERT_EQ(rows[row * kHidden], cut) << row;
  }
  auto const whole = read_all(open_virtual_gguf(*plan, nullptr)->get(), 1U << 20U);
  EXPECT_EQ(
      std::memcmp(whole.data() + (*plan)->header().size() + query.offset, rows.data(), query.bytes),
      0);
}

/// Stands for a block type: two numbers become one byte, their sum.
void add_pairs(GgmlType, std::span<float const> rows, std::uint64_t, std::span<std::byte> out) {
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::byte>(static_cast<int>(rows[2 * i] + rows[2 * i + 1]));
}

constexpr auto kPairs = static_cast<GgmlType>(99);

TEST(ModelPlan, PacksMatricesButNotVectors) {
  SmallLlama const model;
  Quantisation const pairs{.formats = {{kPairs, 2, 1}}, .file_type = 7, .pack = add_pairs};
  auto const plan = ModelPlan::make(model.folder.path(), pairs);
  ASSERT_TRUE(plan) << plan.error().message;
  auto const& embedding = named(**plan, "token_embd.weight");
  EXPECT_EQ(embedding.type, kPairs);
  EXPECT_EQ(content<std::uint8_t>(embedding),
            (std::vector<std::uint8_t>{1, 5, 9, 13, 17, 21, 25, 29, 33, 37, 41, 45}));
  // Reordered first: the second row is the third of the checkpoint.
  EXPECT_EQ(content<std::uint8_t>(named(**plan, "blk.0.attn_q.weight"))[kHidden / 2], 33);
  EXPECT_EQ(named(**plan, "output_norm.weight").type, GgmlType::kF32);
}

TEST(ModelPlan, LeavesRowsThatNoBlockDividesAsTheyAre) {
  SmallLlama const model;
  Quantisation const thirds{.formats = {{kPairs, 3, 1}}, .file_type = 7, .pack = add_pairs};
  auto const plan = ModelPlan::make(model.folder.path(), thirds);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(named(**plan, "token_embd.weight").type, GgmlType::kBf16);
  EXPECT_TRUE(named(**plan, "token_embd.weight").is_copy());
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
