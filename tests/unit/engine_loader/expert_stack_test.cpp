// Tensors that are many in the checkpoint and one in llama.cpp.
#include <gtest/gtest.h>

#include "loader/model_plan.h"
#include "loader/virtual_gguf.h"
#include "unit/engine_loader/small_model.h"

namespace homelab::loader {
namespace {

constexpr std::uint32_t kHidden = 8;
constexpr std::uint32_t kInner = 4;
constexpr std::uint32_t kExperts = 3;

constexpr char kMixtral[] =
    R"({"architectures":["MixtralForCausalLM"],"hidden_size":8,"intermediate_size":4,
        "num_attention_heads":2,"num_hidden_layers":1,"vocab_size":3,"tie_word_embeddings":true,
        "eos_token_id":2,"num_local_experts":3,"num_experts_per_tok":2})";

class SmallMixtral : public SmallModel {
 public:
  explicit SmallMixtral(std::uint32_t experts = kExperts) : SmallModel(kMixtral) {
    tensor("model.embed_tokens.weight", {3, kHidden});
    tensor("model.norm.weight", {kHidden});
    std::string const layer = "model.layers.0.";
    for (auto const* norm : {"input_layernorm", "post_attention_layernorm"})
      tensor(layer + norm + ".weight", {kHidden});
    for (auto const* part : {"q", "k", "v", "o"})
      tensor(layer + "self_attn." + part + "_proj.weight", {kHidden, kHidden});
    std::string const moe = layer + "block_sparse_moe.";
    tensor(moe + "gate.weight", {kExperts, kHidden});
    // Backwards, as a checkpoint may have them.
    for (std::uint32_t i = experts; i-- > 0;) {
      auto const expert = moe + "experts." + std::to_string(i);
      tensor(expert + ".w1.weight", {kInner, kHidden});
      tensor(expert + ".w2.weight", {kHidden, kInner});
      tensor(expert + ".w3.weight", {kInner, kHidden});
    }
    write();
  }
};

TEST(ExpertStack, IsOneTensorWithTheExpertsAsItsSlowestDimension) {
  SmallMixtral const model;
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  auto const& down = named(**plan, "blk.0.ffn_down_exps.weight");
  EXPECT_EQ(down.dimensions, (std::vector<std::uint64_t>{kInner, kHidden, kExperts}));
  EXPECT_EQ(down.type, GgmlType::kBf16);
  auto const values = content<std::uint16_t>(down);
  ASSERT_EQ(values.size(), kExperts * kHidden * kInner);
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(widened(values[i]), static_cast<float>(i % (kHidden * kInner)));
}

TEST(ExpertStack, IsReadFromTheFilesWithoutBeingHeldInMemory) {
  SmallMixtral const model;
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  auto const& up = named(**plan, "blk.0.ffn_up_exps.weight");
  EXPECT_TRUE(up.is_copy());
  EXPECT_EQ(up.part_bytes() * kExperts, up.bytes);
  EXPECT_EQ(up.row_bytes(), 2 * kHidden);
}

TEST(ExpertStack, TheRouterIsInSinglePrecision) {
  SmallMixtral const model;
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  auto const& router = named(**plan, "blk.0.ffn_gate_inp.weight");
  EXPECT_EQ(router.type, GgmlType::kF32);
  EXPECT_EQ(content<float>(router).back(), static_cast<float>(kExperts * kHidden - 1));
}

TEST(ExpertStack, IsTheSameHoweverTheFileIsRead) {
  SmallMixtral const model;
  auto const plan = ModelPlan::make(model.folder.path());
  ASSERT_TRUE(plan) << plan.error().message;
  auto const at_once = read_all(open_virtual_gguf(*plan, nullptr)->get(), 1U << 20U);
  ASSERT_EQ(at_once.size(), (*plan)->size_bytes());
  for (std::size_t const piece : {1U, 7U, 48U, 500U})
    EXPECT_EQ(read_all(open_virtual_gguf(*plan, nullptr)->get(), piece), at_once) << piece;
  auto const& gate = named(**plan, "blk.0.ffn_gate_exps.weight");
  auto const expected = content<char>(gate);
  EXPECT_EQ(at_once.substr((*plan)->header().size() + gate.offset, gate.bytes),
            std::string(expected.begin(), expected.end()));
}

TEST(ExpertStack, NamesTheExpertThatIsMissingOrTooMany) {
  auto const fewer = ModelPlan::make(SmallMixtral(kExperts - 1).folder.path());
  ASSERT_FALSE(fewer);
  EXPECT_NE(fewer.error().message.find("experts.2.w1.weight"), std::string::npos);
  auto const more = ModelPlan::make(SmallMixtral(kExperts + 1).folder.path());
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().message.find("experts.3."), std::string::npos);
}

}  // namespace
}  // namespace homelab::loader
