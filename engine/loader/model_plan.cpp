#include "loader/model_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "loader/tensor_bytes.h"
#include "loader/tokenizer_keys.h"

namespace homelab::loader {
namespace {

constexpr std::uint32_t kQuantisationVersion = 2;
// Of single-precision numbers that are in memory at a time.
constexpr std::uint64_t kSliceBytes = 8U << 20U;
constexpr std::string_view kEmbedding = "model.embed_tokens.weight";
constexpr std::string_view kOutput = "lm_head.weight";

Result<BlockFormat> stored_format(TensorInfo const& info) {
  if (info.dtype == "F32") return BlockFormat{GgmlType::kF32, 1, 4};
  if (info.dtype == "F16") return BlockFormat{GgmlType::kF16, 1, 2};
  if (info.dtype == "BF16") return BlockFormat{GgmlType::kBf16, 1, 2};
  return fail(Code::kUnimplemented, fmt::format("tensor '{}' has dtype {}; F32, F16 and BF16 can "
                                                "be loaded from safetensors, for others use a "
                                                "GGUF of this model",
                                                info.name, info.dtype));
}

/// The first format that can hold rows of this length; nullptr if none can.
BlockFormat const* fitting(std::vector<BlockFormat> const& formats, std::uint64_t row_elements) {
  auto const found = std::find_if(formats.begin(), formats.end(), [&](BlockFormat const& format) {
    return row_elements % format.elements == 0;
  });
  return found == formats.end() ? nullptr : &*found;
}

/// "blk.{}.attn_q.weight" and 3 -> "blk.3.attn_q.weight"; only the first place is filled.
std::string numbered(std::string_view pattern, std::uint64_t number) {
  std::string text(pattern);
  if (auto const at = text.find("{}"); at != std::string::npos)
    text.replace(at, 2, std::to_string(number));
  return text;
}

std::uint64_t stack_size(Stack stack, ModelConfig const& config) {
  switch (stack) {
    case Stack::kNone:
      return 1;
    case Stack::kExperts:
      return config.experts;
    case Stack::kQueryHeads:
      return config.heads;
    case Stack::kKeyHeads:
      return config.kv_heads;
  }
  return 0;
}

bool is_wanted(TensorRule const& rule, json::object const& config) {
  if (rule.only_if.empty()) return true;
  bool const negated = rule.only_if.starts_with('!');
  auto const field = negated ? rule.only_if.substr(1) : rule.only_if;
  return get_bool(config, field).value_or(false) != negated;
}

/// That the tensor is there and has the shape that config.json gives it.
Status check_source(Checkpoint::Tensor const& source, std::string const& name,
                    TensorRule const& rule, ModelConfig const& config) {
  if (source.file == nullptr) {
    return fail(Code::kDataLoss,
                fmt::format("the safetensors have no tensor '{}', which a {} with the sizes of "
                            "config.json needs",
                            name, config.class_name));
  }
  std::vector<std::uint64_t> expected = {config.size(rule.rows)};
  if (rule.columns != Size::kOne) expected.push_back(config.size(rule.columns));
  if (source.info->shape == expected) return {};
  auto const columns =
      rule.columns == Size::kOne ? "" : fmt::format(", {}", fields_of(rule.columns));
  return fail(Code::kDataLoss,
              fmt::format("{}: tensor '{}' has shape [{}], but config.json makes it [{}] ({}{})",
                          source.file->path().filename().string(), name,
                          fmt::join(source.info->shape, ", "), fmt::join(expected, ", "),
                          fields_of(rule.rows), columns));
}

/// Buffers that some checkpoints carry although they are computed from the configuration.
bool is_derived(std::string_view name) { return name.ends_with(".rotary_emb.inv_freq"); }

std::uint32_t file_type(std::vector<PlannedTensor> const& tensors,
                        Quantisation const& quantisation) {
  std::map<GgmlType, std::uint64_t> bytes;
  for (auto const& tensor : tensors) bytes[tensor.type] += tensor.bytes;
  auto const most = std::max_element(
      bytes.begin(), bytes.end(), [](auto const& a, auto const& b) { return a.second < b.second; });
  // llama.cpp's file types: all F32, mostly F16, mostly BF16.
  if (most == bytes.end() || most->first == GgmlType::kF32) return 0;
  if (most->first == GgmlType::kF16) return 1;
  return most->first == GgmlType::kBf16 ? 32 : quantisation.file_type;
}

void set_rope(GgufHeader& header, std::string const& prefix, RopeConfig const& rope) {
  using Kind = RopeScaling::Kind;
  auto const& scaling = rope.scaling;
  header.set(prefix + "rope.dimension_count", rope.rotary_size);
  header.set(prefix + "rope.freq_base", rope.base);
  // llama3's factors are a tensor, see add_rope_factors.
  if (scaling.kind == Kind::kNone || scaling.kind == Kind::kLlama3) return;
  header.set(prefix + "rope.scaling.type", scaling.kind == Kind::kLinear ? "linear"
                                           : scaling.kind == Kind::kYarn ? "yarn"
                                                                         : "longrope");
  // With longrope the factors are in tensors, one more for all would come on top.
  if (scaling.kind != Kind::kLongrope)
    header.set(prefix + "rope.scaling.factor", static_cast<float>(scaling.factor));
  if (scaling.kind == Kind::kLinear) return;
  header.set(prefix + "rope.scaling.original_context_length", scaling.original_context);
  header.set(prefix + "rope.scaling.attn_factor", static_cast<float>(scaling.attention_factor));
}

void set_parameters(GgufHeader& header, Architecture const& architecture,
                    ModelConfig const& config) {
  auto const prefix = fmt::format("{}.", architecture.gguf_name);
  header.set(prefix + "block_count", config.layers);
  header.set(prefix + "context_length", config.context_length);
  header.set(prefix + "embedding_length", config.hidden_size);
  header.set(prefix + "feed_forward_length", config.feed_forward_size);
  header.set(prefix + "attention.head_count", config.heads);
  header.set(prefix + "attention.head_count_kv", config.kv_heads);
  header.set(prefix + "attention.key_length", config.head_size);
  header.set(prefix + "attention.value_length", config.head_size);
  header.set(fmt::format("{}{}", prefix, architecture.epsilon_key), config.norm_epsilon);
  header.set(prefix + "vocab_size", config.vocabulary_size);
  set_rope(header, prefix, config.rope);
  for (auto const& [key, value] : config.scalars)
    header.set(fmt::format("{}{}", prefix, key), value);
  if (config.window > 0) {
    header.set(prefix + "attention.sliding_window", config.window);
    header.set(prefix + "attention.sliding_window_pattern", config.window_layers);
    header.set(prefix + "rope.freq_base_swa", config.rope.window_base);
  }
  if (config.experts > 0) {
    header.set(prefix + "expert_count", config.experts);
    header.set(prefix + "expert_used_count", config.experts_used);
    if (architecture.experts.has_own_size)
      header.set(prefix + "expert_feed_forward_length", config.expert_feed_forward_size);
  }
}

}  // namespace

bool PlannedTensor::is_copy() const {
  return !sources.empty() && paired_heads == 0 && !plus_one && pack == nullptr &&
         part_bytes() == sources.front().info->bytes;
}

std::uint64_t PlannedTensor::part_bytes() const {
  return sources.empty() ? bytes : bytes / sources.size();
}

std::uint64_t PlannedTensor::part_rows() const {
  return sources.empty() ? 1 : sources.front().info->shape.front();
}

std::uint64_t PlannedTensor::slice_rows() const {
  if (sources.empty()) return 1;
  std::uint64_t const unit = paired_heads == 0 ? 1 : part_rows() / paired_heads;
  std::uint64_t const row_elements = sources.front().info->elements() / part_rows();
  return std::max<std::uint64_t>(1, kSliceBytes / (unit * row_elements * sizeof(float))) * unit;
}

Result<std::shared_ptr<ModelPlan const>> ModelPlan::make(std::filesystem::path const& folder,
                                                         Quantisation const& quantisation) {
  ASSIGN_OR_RETURN(auto const json_config, read_config(folder));
  ASSIGN_OR_RETURN(auto const* architecture, require_architecture(identify(json_config)));
  ASSIGN_OR_RETURN(auto config, parse_config(json_config, *architecture));

  std::shared_ptr<ModelPlan> plan(new ModelPlan);
  plan->quantisation_ = quantisation;
  ASSIGN_OR_RETURN(plan->checkpoint_, Checkpoint::open(folder));
  // The embedding's rows are the truth about the vocabulary: it may be padded beyond what
  // config.json says.
  auto const embedding = plan->checkpoint_.find(kEmbedding);
  if (embedding.file != nullptr && embedding.info->elements() > 0)
    config.vocabulary_size =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(embedding.info->shape[0], UINT32_MAX));
  auto planned = plan->plan_tensors(json_config, *architecture, config);
  if (!planned) return fail(std::move(planned.error()).in(folder.string()));
  auto const tokenizer = read_tokenizer(folder, json_config, config.vocabulary_size);
  if (!tokenizer) return fail(Error(tokenizer.error()).in(folder.string()));

  GgufHeader header;
  header.set("general.architecture", architecture->gguf_name);
  header.set("general.type", "model");
  header.set("general.file_type", file_type(plan->tensors_, quantisation));
  header.set("general.quantization_version", kQuantisationVersion);
  set_parameters(header, *architecture, config);
  set_tokenizer(header, *tokenizer);
  plan->text_rules_ = tokenizer->rules;
  for (auto const& tensor : plan->tensors_)
    header.add_tensor(tensor.name, tensor.dimensions, tensor.type, tensor.offset);
  plan->header_ = header.bytes();
  return std::shared_ptr<ModelPlan const>(std::move(plan));
}

Status ModelPlan::plan_tensors(json::object const& json_config, Architecture const& architecture,
                               ModelConfig const& config) {
  for (auto const& rule : architecture.rules) {
    if (!is_wanted(rule, json_config)) continue;
    bool const per_layer = rule.to.find("{}") != std::string_view::npos;
    for (std::uint32_t layer = 0; layer < (per_layer ? config.layers : 1); ++layer) {
      if (rule.optional && checkpoint_.find(numbered(rule.from, layer)).file == nullptr) continue;
      RETURN_IF_ERROR(add(rule, layer, config));
    }
  }
  RETURN_IF_ERROR(plan_output(architecture, config));
  auto const& scaling = config.rope.scaling;
  if (scaling.kind == RopeScaling::Kind::kLlama3)
    add_computed("rope_freqs.weight", llama3_rope_factors(config.rope));
  if (scaling.kind == RopeScaling::Kind::kLongrope) {
    add_computed("rope_factors_long.weight", scaling.long_factors);
    add_computed("rope_factors_short.weight", scaling.short_factors);
  }
  RETURN_IF_ERROR(check_all_used(config));
  place_tensors();
  return {};
}

Status ModelPlan::plan_output(Architecture const& architecture, ModelConfig const& config) {
  if (config.tied_embeddings && !architecture.own_output) return {};
  return add({.from = config.tied_embeddings ? kEmbedding : kOutput,
              .to = "output.weight",
              .rows = Size::kVocabulary,
              .columns = Size::kHidden},
             0, config);
}

Status ModelPlan::add(TensorRule const& rule, std::uint32_t layer, ModelConfig const& config) {
  PlannedTensor tensor{.name = numbered(rule.to, layer)};
  auto const count = stack_size(rule.stack, config);
  auto const pattern = numbered(rule.from, layer);
  for (std::uint64_t i = 0; i < count; ++i) {
    auto const source = checkpoint_.find(numbered(pattern, i));
    RETURN_IF_ERROR(check_source(source, numbered(pattern, i), rule, config));
    if (i > 0 && source.info->dtype != tensor.sources.front().info->dtype) {
      return fail(
          Code::kUnimplemented,
          fmt::format("tensor '{}' is {}, '{}' is {}; they must be the same", source.info->name,
                      source.info->dtype, tensor.sources.front().info->name,
                      tensor.sources.front().info->dtype));
    }
    tensor.sources.push_back(source);
    used_.insert(source.info->name);
  }
  auto const& info = *tensor.sources.front().info;
  ASSIGN_OR_RETURN(auto format, stored_format(info));
  if (info.shape.size() == 1 || rule.single || rule.plus_one) {
    format = {};
  } else if (auto const* packed = fitting(quantisation_.formats, info.shape.back())) {
    format = *packed;
    tensor.pack = quantisation_.pack;
  }
  tensor.type = format.type;
  tensor.dimensions.assign(info.shape.rbegin(), info.shape.rend());
  if (rule.stack != Stack::kNone) tensor.dimensions.push_back(count);
  tensor.bytes = count * info.elements() / format.elements * format.bytes;
  tensor.plus_one = rule.plus_one;
  if (rule.order != RowOrder::kSame)
    tensor.paired_heads = rule.order == RowOrder::kPairedQuery ? config.heads : config.kv_heads;
  tensors_.push_back(std::move(tensor));
  return {};
}

void ModelPlan::add_computed(std::string name, std::vector<float> values) {
  PlannedTensor tensor{.name = std::move(name), .dimensions = {values.size()}};
  tensor.bytes = values.size() * sizeof(float);
  tensor.computed = std::move(values);
  tensors_.push_back(std::move(tensor));
}

Status ModelPlan::check_all_used(ModelConfig const& config) const {
  for (auto const& file : checkpoint_.files()) {
    for (auto const& tensor : file.tensors()) {
      bool const spare =
          is_derived(tensor.name) || (config.tied_embeddings && tensor.name == kOutput);
      if (spare || used_.contains(tensor.name)) continue;
      return fail(
          Code::kUnimplemented,
          fmt::format("{}: tensor '{}' has no place in a {} with {} layers{} as config.json "
                      "describes it; loading without it would change the model, use a GGUF",
                      file.path().filename().string(), tensor.name, config.class_name,
                      config.layers,
                      config.experts > 0 ? fmt::format(" of {} experts", config.experts) : ""));
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
  std::uint64_t const rows = tensor.part_rows();
  for (std::size_t part = 0; !out.empty(); ++part) {
    for (std::uint64_t row = 0; row < rows; row += tensor.slice_rows()) {
      auto const bytes = std::min(tensor.slice_rows(), rows - row) * tensor.row_bytes();
      RETURN_IF_ERROR(materialise_rows(tensor, part, row, out.first(bytes)));
      out = out.subspan(bytes);
    }
  }
  return {};
}

Status ModelPlan::materialise_rows(PlannedTensor const& tensor, std::size_t part,
                                   std::uint64_t first_row, std::span<std::byte> out) {
  if (tensor.sources.empty()) {
    auto const bytes = std::as_bytes(std::span(tensor.computed));
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return {};
  }
  auto const& source = tensor.sources[part];
  auto const& info = *source.info;
  std::uint64_t const rows = out.size() / tensor.row_bytes();
  std::uint64_t const raw_row_bytes = info.bytes / tensor.part_rows();
  std::uint64_t const offset = info.offset + first_row * raw_row_bytes;
  if (tensor.is_copy()) return source.file->read(offset, out);
  std::vector<std::byte> raw(rows * raw_row_bytes);
  RETURN_IF_ERROR(source.file->read(offset, raw));
  if (tensor.paired_heads > 0) {
    bool const is_all = tensor.pack == nullptr && raw.size() == out.size() && !tensor.plus_one;
    std::vector<std::byte> paired(is_all ? 0 : raw.size());
    pair_rows(raw, rows, tensor.part_rows() / tensor.paired_heads, is_all ? out : paired);
    if (is_all) return {};
    raw.swap(paired);
  }
  if (tensor.pack != nullptr) {
    std::vector<float> values(info.elements() / tensor.part_rows() * rows);
    widen(raw, info.dtype, 0, std::as_writable_bytes(std::span(values)));
    tensor.pack(tensor.type, values, values.size() / rows, out);
  } else if (raw.size() == out.size() && !tensor.plus_one) {
    std::copy(raw.begin(), raw.end(), out.begin());
  } else {
    widen(raw, info.dtype, tensor.plus_one ? 1.0F : 0.0F, out);
  }
  return {};
}

}  // namespace homelab::loader
