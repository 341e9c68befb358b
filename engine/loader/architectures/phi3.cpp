#include "loader/architectures/families.h"
#include "loader/architectures/rules.h"

namespace homelab::loader {
namespace {

// Query, key and value are one tensor, gate and up are one tensor: in llama.cpp too.
constexpr std::array kFused = {
    matrix("model.layers.{}.self_attn.qkv_proj.weight", "blk.{}.attn_qkv.weight",
           Size::kQueryKeyValue, Size::kHidden),
    matrix("model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight", Size::kHidden,
           Size::kQuery),
    matrix("model.layers.{}.mlp.gate_up_proj.weight", "blk.{}.ffn_up.weight",
           Size::kTwoFeedForwards, Size::kHidden),
    matrix("model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight", Size::kHidden,
           Size::kFeedForward),
};
constexpr auto kRules = join(kEnds, kNormsBefore, kFused);

}  // namespace

constinit Architecture const kPhi3 = {
    .class_name = "Phi3ForCausalLM",
    .model_type = "phi3",
    .gguf_name = "phi3",
    .rules = kRules,
    .epsilon = 1e-5,
    .heads_fill_hidden = true,
    .rope_kinds = {.linear = false, .yarn = false, .longrope = true},
    .partial_rotary = true,
    .window = Window::kLimitsContext};

}  // namespace homelab::loader
