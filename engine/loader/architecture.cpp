#include "loader/architecture.h"

#include <array>

namespace homelab::loader {
namespace {

constexpr bool kOptional = true;

// Rotary embedding in adjacent pairs, where the checkpoint has halves: query and key rows are
// reordered.
constexpr std::array kLlamaRules = {
    TensorRule{"model.embed_tokens.weight", "token_embd.weight"},
    TensorRule{"model.norm.weight", "output_norm.weight"},
    TensorRule{"model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    TensorRule{"model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight",
               RowOrder::kPairedQuery},
    TensorRule{"model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight",
               RowOrder::kPairedKey},
    TensorRule{"model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight"},
    TensorRule{"model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight"},
    TensorRule{"model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias",
               RowOrder::kPairedQuery, kOptional},
    TensorRule{"model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias", RowOrder::kPairedKey,
               kOptional},
    TensorRule{"model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias", RowOrder::kSame,
               kOptional},
    TensorRule{"model.layers.{}.self_attn.o_proj.bias", "blk.{}.attn_output.bias", RowOrder::kSame,
               kOptional},
    TensorRule{"model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight"},
    TensorRule{"model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight"},
    TensorRule{"model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight"},
    TensorRule{"model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight"},
    TensorRule{"model.layers.{}.mlp.gate_proj.bias", "blk.{}.ffn_gate.bias", RowOrder::kSame,
               kOptional},
    TensorRule{"model.layers.{}.mlp.up_proj.bias", "blk.{}.ffn_up.bias", RowOrder::kSame,
               kOptional},
    TensorRule{"model.layers.{}.mlp.down_proj.bias", "blk.{}.ffn_down.bias", RowOrder::kSame,
               kOptional},
};

// Rotary embedding in halves on both sides: nothing is reordered.
constexpr std::array kQwen2Rules = {
    TensorRule{"model.embed_tokens.weight", "token_embd.weight"},
    TensorRule{"model.norm.weight", "output_norm.weight"},
    TensorRule{"model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    TensorRule{"model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight"},
    TensorRule{"model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight"},
    TensorRule{"model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight"},
    TensorRule{"model.layers.{}.self_attn.q_proj.bias", "blk.{}.attn_q.bias"},
    TensorRule{"model.layers.{}.self_attn.k_proj.bias", "blk.{}.attn_k.bias"},
    TensorRule{"model.layers.{}.self_attn.v_proj.bias", "blk.{}.attn_v.bias"},
    TensorRule{"model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight"},
    TensorRule{"model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight"},
    TensorRule{"model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight"},
    TensorRule{"model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight"},
    TensorRule{"model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight"},
};

constexpr std::array kQwen3Rules = {
    TensorRule{"model.embed_tokens.weight", "token_embd.weight"},
    TensorRule{"model.norm.weight", "output_norm.weight"},
    TensorRule{"model.layers.{}.input_layernorm.weight", "blk.{}.attn_norm.weight"},
    TensorRule{"model.layers.{}.self_attn.q_proj.weight", "blk.{}.attn_q.weight"},
    TensorRule{"model.layers.{}.self_attn.k_proj.weight", "blk.{}.attn_k.weight"},
    TensorRule{"model.layers.{}.self_attn.v_proj.weight", "blk.{}.attn_v.weight"},
    TensorRule{"model.layers.{}.self_attn.q_norm.weight", "blk.{}.attn_q_norm.weight"},
    TensorRule{"model.layers.{}.self_attn.k_norm.weight", "blk.{}.attn_k_norm.weight"},
    TensorRule{"model.layers.{}.self_attn.o_proj.weight", "blk.{}.attn_output.weight"},
    TensorRule{"model.layers.{}.post_attention_layernorm.weight", "blk.{}.ffn_norm.weight"},
    TensorRule{"model.layers.{}.mlp.gate_proj.weight", "blk.{}.ffn_gate.weight"},
    TensorRule{"model.layers.{}.mlp.up_proj.weight", "blk.{}.ffn_up.weight"},
    TensorRule{"model.layers.{}.mlp.down_proj.weight", "blk.{}.ffn_down.weight"},
};

constexpr std::array kArchitectures = {
    Architecture{"LlamaForCausalLM", "llama", "llama", kLlamaRules},
    Architecture{"MistralForCausalLM", "mistral", "llama", kLlamaRules},
    Architecture{"Qwen2ForCausalLM", "qwen2", "qwen2", kQwen2Rules},
    Architecture{"Qwen3ForCausalLM", "qwen3", "qwen3", kQwen3Rules},
};

}  // namespace

Architecture const* find_architecture(std::string_view class_name, std::string_view model_type) {
  for (auto const& architecture : kArchitectures) {
    if (class_name.empty() ? architecture.model_type == model_type
                           : architecture.class_name == class_name)
      return &architecture;
  }
  return nullptr;
}

std::string_view class_of_gguf_name(std::string_view gguf_name) {
  for (auto const& architecture : kArchitectures)
    if (architecture.gguf_name == gguf_name) return architecture.class_name;
  return {};
}

std::string known_architectures() {
  std::string list;
  for (auto const& architecture : kArchitectures) {
    if (!list.empty()) list += ", ";
    list += architecture.class_name;
  }
  return list;
}

}  // namespace homelab::loader
