#include "loader/model_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <unordered_set>

#include "loader/tokenizer.h"

namespace homelab::loader {
namespace {

constexpr std::uint32_t kQuantisationVersion = 2;
constexpr std::string_view kOutput = "lm_head.weight";

std::uint64_t type_bytes(GgmlType type) { return type == GgmlType::kF32 ? 4 : 2; }

Result<GgmlType> weight_type(TensorInfo const& info) {
  if (info.dtype == "F32") return GgmlType::kF32;
  if (info.dtype == "F16") return GgmlType::kF16;
  if (info.dtype == "BF16") return GgmlType::kBf16;
  return fail(Code::kUnimplemented, fmt::format("tensor '{}' has dtype {}; F32, F16 and BF16 can "
                                                "be loaded from safetensors, for others use a "
                                                "GGUF of this model",
                                                info.name, info.dtype));
}

float half_to_float(std::uint16_t half) {
  std::uint32_t const sign = static_cast<std::uint32_t>(half & 0x8000U) << 16U;
  std::uint32_t const exponent = (half >> 10U) & 0x1FU;
  std::uint32_t const fraction = half & 0x3FFU;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    float const value = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  std::uint32_t const wide = exponent == 0x1FU ? 0xFFU : exponent + 112U;
  return std::bit_cast<float>(sign | (wide << 23U) | (fraction << 13U));
}

float bf16_to_float(std::uint16_t half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16U);
}

/// Widens `from` (F16 or BF16) to single precision.
void widen(std::span<std::byte const> from, std::string_view dtype, std::span<std::byte> to) {
  bool const is_half = dtype == "F16";
  for (std::size_t i = 0; i * 2 < from.size(); ++i) {
    std::uint16_t raw = 0;
    std::memcpy(&raw, &from[i * 2], sizeof raw);
    float const value = is_half ? half_to_float(raw) : bf16_to_float(raw);
    std::memcpy(&to[i * 4], &value, sizeof value);
  }
}

/// From rotary halves to adjacent pairs: row r of a head is row (r % 2) * (size / 2) + r / 2 of the
/// source.
void pair_rows(std::span<std::byte const> from, std::uint64_t rows, std::uint32_t heads,
               std::span<std::byte> to) {
  std::uint64_t const row_bytes = from.size() / rows;
  std::uint64_t const size = rows / heads;
  for (std::uint64_t row = 0; row < rows; ++row) {
    std::uint64_t const in_head = row % size;
    std::uint64_t const source = row - in_head + (in_head % 2) * (size / 2) + in_head / 2;
    std::memcpy(&to[row * row_bytes], &from[source * row_bytes], row_bytes);
  }
}

/// "blk.{}.attn_q.weight" and 3 -> "blk.3.attn_q.weight".
std::string numbered(std::string_view pattern, std::uint32_t layer) {
  std::string text(pattern);
  if (auto const at = text.find("{}"); at != std::string::npos)
    text.replace(at, 2, std::to_string(layer));
  return text;
}

/// Buffers that some checkpoints carry although they are computed from the configuration.
bool is_derived(std::string_view name) { return name.ends_with(".rotary_emb.inv_freq"); }

std::uint32_t file_type(std::vector<PlannedTensor> const& tensors) {
  std::map<GgmlType, std::uint64_t> bytes;
  for (auto const& tensor : tensors) bytes[tensor.type] += tensor.bytes;
  auto const most = std::max_element(
      bytes.begin(), bytes.end(), [](auto const& a, auto const& b) { return a.second < b.second; });
  // llama.cpp's file types: all F32, mostly F16, mostly BF16.
  if (most == bytes.end() || most->first == GgmlType::kF32) return 0;
  return most->first == GgmlType::kF16 ? 1 : 32;
}

void set_parameters(GgufHeader& header, Architecture const& architecture,
                    ModelConfig const& config) {
  auto const key = [&](std::string_view name) {
    return fmt::format("{}.{}", architecture.gguf_name, name);
  };
  header.set(key("block_count"), config.layers);
  header.set(key("context_length"), config.context_length);
  header.set(key("embedding_length"), config.hidden_size);
  header.set(key("feed_forward_length"), config.feed_forward_size);
  header.set(key("attention.head_count"), config.heads);
  header.set(key("attention.head_count_kv"), config.kv_heads);
  header.set(key("attention.key_length"), config.head_size);
  header.set(key("attention.value_length"), config.head_size);
  header.set(key("attention.layer_norm_rms_epsilon"), config.norm_epsilon);
  header.set(key("rope.dimension_count"), config.head_size);
  header.set(key("rope.freq_base"), config.rope_base);
  header.set(key("vocab_size"), config.vocabulary_size);
  if (config.rope.kind == RopeScaling::Kind::kLinear) {
    header.set(key("rope.scaling.type"), "linear");
    header.set(key("rope.scaling.factor"), static_cast<float>(config.rope.factor));
  }
}

void set_tokenizer(GgufHeader& header, Tokenizer const& tokenizer) {
  header.set("tokenizer.ggml.model", "gpt2");
  header.set("tokenizer.ggml.pre", tokenizer.pre);
  header.set("tokenizer.ggml.tokens", tokenizer.tokens);
  std::vector<std::int32_t> types;
  types.reserve(tokenizer.types.size());
  for (auto const type : tokenizer.types) types.push_back(static_cast<std::int32_t>(type));
  header.set("tokenizer.ggml.token_type", types);
  header.set("tokenizer.ggml.merges", tokenizer.merges);
  header.set("tokenizer.ggml.eos_token_id", tokenizer.eos);
  // Without the key llama.cpp would take id 11, whatever that is.
  header.set("tokenizer.ggml.bos_token_id", tokenizer.bos.value_or(tokenizer.eos));
  if (tokenizer.unk) header.set("tokenizer.ggml.unknown_token_id", *tokenizer.unk);
  if (tokenizer.pad) header.set("tokenizer.ggml.padding_token_id", *tokenizer.pad);
  header.set("tokenizer.ggml.add_bos_token", tokenizer.add_bos);
  header.set("tokenizer.ggml.add_eos_token", tokenizer.add_eos);
  for (auto const& chat : tokenizer.chat_templates) {
    std::string const suffix = chat.name.empty() ? "" : "." + chat.name;
    header.set("tokenizer.chat_template" + suffix, chat.text);
  }
}

}  // namespace

bool PlannedTensor::is_copy() const {
  return source.file != nullptr && paired_heads == 0 && bytes == source.info->bytes;
}

Result<std::shared_ptr<ModelPlan const>> ModelPlan::make(std::filesystem::path const& folder) {
  ASSIGN_OR_RETURN(auto const json_config, read_config(folder));
  ASSIGN_OR_RETURN(auto const* architecture, require_architecture(identify(json_config)));
  ASSIGN_OR_RETURN(auto config, parse_config(json_config));

  std::shared_ptr<ModelPlan> plan(new ModelPlan);
  ASSIGN_OR_RETURN(plan->checkpoint_, Checkpoint::open(folder));
  auto planned = plan->plan_tensors(*architecture, config);
  if (!planned) return fail(std::move(planned.error()).in(folder.string()));
  // The embedding's rows are the truth about the vocabulary: it may be padded beyond what
  // config.json says.
  auto const embedding = plan->checkpoint_.find("model.embed_tokens.weight");
  config.vocabulary_size =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(embedding.info->shape[0], UINT32_MAX));
  auto const tokenizer = read_tokenizer(folder, json_config, config.vocabulary_size);
  if (!tokenizer) return fail(Error(tokenizer.error()).in(folder.string()));

  GgufHeader header;
  header.set("general.architecture", architecture->gguf_name);
  header.set("general.type", "model");
  // Fixed on purpose: llama.cpp changes its behaviour for some names, so none from outside may get
  // here.
  header.set("general.name", "safetensors snapshot");
  header.set("general.file_type", file_type(plan->tensors_));
  header.set("general.quantization_version", kQuantisationVersion);
  set_parameters(header, *architecture, config);
  set_tokenizer(header, *tokenizer);
  for (auto const& tensor : plan->tensors_)
    header.add_tensor(tensor.name, tensor.dimensions, tensor.type, tensor.offset);
  plan->header_ = header.bytes();
  return std::shared_ptr<ModelPlan const>(std::move(plan));
}

Status ModelPlan::plan_tensors(Architecture const& architecture, ModelConfig const& config) {
  std::vector<std::string> used;
  for (auto const& rule : architecture.rules) {
    bool const per_layer = rule.from.find("{}") != std::string_view::npos;
    for (std::uint32_t layer = 0; layer < (per_layer ? config.layers : 1); ++layer) {
      auto const source = numbered(rule.from, layer);
      if (rule.optional && checkpoint_.find(source).file == nullptr) continue;
      RETURN_IF_ERROR(add(numbered(rule.to, layer), source, rule.order, config));
      used.push_back(source);
    }
  }
  if (!config.tied_embeddings) {
    RETURN_IF_ERROR(add("output.weight", std::string(kOutput), RowOrder::kSame, config));
    used.emplace_back(kOutput);
  }
  if (config.rope.kind == RopeScaling::Kind::kLlama3) {
    PlannedTensor factors{.name = "rope_freqs.weight", .dimensions = {config.head_size / 2}};
    factors.computed = llama3_rope_factors(config);
    factors.bytes = factors.computed.size() * sizeof(float);
    tensors_.push_back(std::move(factors));
  }
  RETURN_IF_ERROR(check_all_used(used, config));
  place_tensors();
  return {};
}

Status ModelPlan::add(std::string name, std::string const& source, RowOrder order,
                      ModelConfig const& config) {
  PlannedTensor tensor{.name = std::move(name), .source = checkpoint_.find(source)};
  if (tensor.source.file == nullptr)
    return fail(Code::kDataLoss, fmt::format("the safetensors have no tensor '{}'", source));
  auto const& info = *tensor.source.info;
  if (info.shape.empty() || info.shape.size() > 2 || info.elements() == 0)
    return fail(Code::kDataLoss,
                fmt::format("tensor '{}' must have one or two dimensions, none of them 0", source));
  ASSIGN_OR_RETURN(auto const type, weight_type(info));
  tensor.type = info.shape.size() == 1 ? GgmlType::kF32 : type;
  tensor.dimensions.assign(info.shape.rbegin(), info.shape.rend());
  tensor.bytes = info.elements() * type_bytes(tensor.type);
  if (order != RowOrder::kSame) {
    tensor.paired_heads = order == RowOrder::kPairedQuery ? config.heads : config.kv_heads;
    if (info.shape[0] != static_cast<std::uint64_t>(tensor.paired_heads) * config.head_size) {
      return fail(Code::kDataLoss,
                  fmt::format("tensor '{}' has {} rows, config.json says {} heads of {}", source,
                              info.shape[0], tensor.paired_heads, config.head_size));
    }
  }
  tensors_.push_back(std::move(tensor));
  return {};
}

Status ModelPlan::check_all_used(std::vector<std::string> const& used,
                                 ModelConfig const& config) const {
  std::unordered_set<std::string_view> const known(used.begin(), used.end());
  for (auto const& file : checkpoint_.files()) {
    for (auto const& tensor : file.tensors()) {
      bool const spare =
          is_derived(tensor.name) || (config.tied_embeddings && tensor.name == kOutput);
      if (spare || known.contains(tensor.name)) continue;
      return fail(Code::kUnimplemented, fmt::format("tensor '{}' has no place in this architecture "
                                                    "with {} layers; loading without it would "
                                                    "change the model, use a GGUF",
                                                    tensor.name, config.layers));
    }
  }
  return {};
}

void ModelPlan::place_tensors() {
  for (auto& tensor : tensors_) {
    tensor.offset = data_bytes_;
    data_bytes_ = align_up(data_bytes_ + tensor.bytes);
  }
}

Status ModelPlan::materialise(PlannedTensor const& tensor, std::span<std::byte> out) {
  if (tensor.source.file == nullptr) {
    auto const bytes = std::as_bytes(std::span(tensor.computed));
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return {};
  }
  auto const& info = *tensor.source.info;
  if (tensor.is_copy()) return tensor.source.file->read(info.offset, out);
  std::vector<std::byte> raw(info.bytes);
  RETURN_IF_ERROR(tensor.source.file->read(info.offset, raw));
  if (tensor.paired_heads > 0) {
    std::vector<std::byte> paired(raw.size());
    pair_rows(raw, info.shape[0], tensor.paired_heads, paired);
    raw.swap(paired);
  }
  if (raw.size() == out.size())
    std::copy(raw.begin(), raw.end(), out.begin());
  else
    widen(raw, info.dtype, out);
  return {};
}

}  // namespace homelab::loader
