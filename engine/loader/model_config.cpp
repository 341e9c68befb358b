#include "loader/model_config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/os/file.h"
#include "loader/config_fields.h"

namespace homelab::loader {
namespace {

constexpr std::size_t kMaxConfigBytes = 4'000'000;
constexpr std::int64_t kMaxSize = 1 << 24;
// llama.cpp aborts above these numbers instead of reporting it.
constexpr std::int64_t kMaxLayers = 512;
constexpr std::int64_t kMaxExperts = 1024;
constexpr std::string_view kFullAttention = "full_attention";
constexpr std::string_view kSlidingAttention = "sliding_attention";

/// For a message: the beginning of what stands there.
std::string shown(json::value const& value) {
  constexpr std::size_t kMost = 60;
  auto text = json::serialize(value);
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}

bool is_fixed(json::object const& config, FixedRule const& rule) {
  using Must = FixedRule::Must;
  switch (rule.must) {
    case Must::kBeFalse:
      return !has_field(config, rule.field) || get_bool(config, rule.field) == false;
    case Must::kBeTrue:
      return get_bool(config, rule.field) == true;
    case Must::kBeNull:
      return !has_field(config, rule.field);
    case Must::kBeOne:
      return !has_field(config, rule.field) || get_int(config, rule.field) == 1;
    case Must::kBeEmpty: {
      auto const* list = get_array(config, rule.field);
      return !has_field(config, rule.field) || (list && list->empty());
    }
  }
  return false;
}

/// Features that would change what the model computes, and that no description covers.
Status refuse_other_features(json::object const& config, Architecture const& architecture) {
  if (auto const* quantised = get_object(config, "quantization_config");
      quantised && !quantised->empty()) {
    return unsupported_field(
        fmt::format("a checkpoint quantised with '{}'",
                    get_string(*quantised, "quant_method").value_or("unknown method")));
  }
  auto const activation = get_string(config, architecture.activation_field);
  if (activation && *activation != architecture.activation)
    return unsupported_field(fmt::format("activation '{}'", *activation));
  if (get_bool(config, "use_sliding_window").value_or(false))
    return unsupported_field("'use_sliding_window'");
  for (auto const& rule : architecture.fixed) {
    if (is_fixed(config, rule)) continue;
    auto const* value = config.if_contains(rule.field);
    return unsupported_field(fmt::format(
        "'{}' {} of a {}", rule.field, value ? shown(*value) : "absent", architecture.class_name));
  }
  return {};
}

Status parse_attention(json::object const& config, Architecture const& architecture,
                       ModelConfig& result) {
  ASSIGN_OR_RETURN(result.heads, size_field(config, "num_attention_heads", 0, kMaxSize));
  ASSIGN_OR_RETURN(result.kv_heads,
                   size_field(config, "num_key_value_heads", result.heads, kMaxSize));
  auto const usual =
      architecture.head_size > 0 ? architecture.head_size : result.hidden_size / result.heads;
  ASSIGN_OR_RETURN(result.head_size, size_field(config, "head_dim", usual, kMaxSize));
  if (result.heads % result.kv_heads != 0)
    return bad_field("num_attention_heads", "a multiple of 'num_key_value_heads'");
  if (result.head_size % 2 != 0) return bad_field("head_dim", "even");
  if (architecture.heads_fill_hidden && result.size(Size::kQuery) != result.hidden_size) {
    return unsupported_field(fmt::format("a {} in which {} heads of {} are not 'hidden_size'",
                                         architecture.class_name, result.heads, result.head_size));
  }
  return {};
}

/// llama.cpp derives the scale from sizes; it must be the one that config.json asks for.
Status check_query_scale(json::object const& config, QueryScaleRule const& rule,
                         ModelConfig const& model) {
  if (rule.field.empty()) return {};
  ASSIGN_OR_RETURN(float const asked, positive_field(config, rule.field, rule.absent));
  auto const known =
      model.layers == rule.layers_of_largest ? model.hidden_size / model.heads : model.head_size;
  if (asked == static_cast<float>(known)) return {};
  return unsupported_field(
      fmt::format("'{}' {} (with these sizes it would have to be {})", rule.field, asked, known));
}

Status parse_experts(json::object const& config, ExpertRule const& rule, ModelConfig& result) {
  if (rule.count.empty()) return {};
  auto const count =
      has_field(config, rule.count) || rule.other_count.empty() ? rule.count : rule.other_count;
  ASSIGN_OR_RETURN(result.experts, size_field(config, count, 0, kMaxExperts));
  ASSIGN_OR_RETURN(result.experts_used, size_field(config, rule.used, 0, result.experts));
  ASSIGN_OR_RETURN(result.expert_feed_forward_size, size_field(config, rule.size, 0, kMaxSize));
  return {};
}

Status parse_scalars(json::object const& config, Architecture const& architecture,
                     ModelConfig& result) {
  for (auto const& rule : architecture.scalars) {
    bool const may_be_missing = rule.absent == 0;
    if (may_be_missing && !has_field(config, rule.from)) continue;
    if (!may_be_missing && config.contains(rule.from) && !has_field(config, rule.from))
      return unsupported_field(fmt::format("'{}' null", rule.from));
    ASSIGN_OR_RETURN(float const value, positive_field(config, rule.from, rule.absent));
    result.scalars.emplace_back(rule.to, value);
  }
  return {};
}

/// 1 for each layer that "layer_types" (or the usual order) gives a window.
Result<std::vector<std::int32_t>> parse_layer_types(json::object const& config,
                                                    std::uint32_t layers,
                                                    std::uint32_t full_every) {
  std::vector<std::int32_t> sliding;
  if (!has_field(config, "layer_types")) {
    ASSIGN_OR_RETURN(auto const every,
                     size_field(config, "sliding_window_pattern", full_every, kMaxLayers));
    for (std::uint32_t i = 0; i < layers; ++i) sliding.push_back((i + 1) % every != 0 ? 1 : 0);
    return sliding;
  }
  auto const* types = get_array(config, "layer_types");
  for (auto const& type : types ? *types : json::array{}) {
    bool const known = type.is_string() && (type.get_string() == kFullAttention ||
                                            type.get_string() == kSlidingAttention);
    if (!known) return unsupported_field(fmt::format("layer type {}", shown(type)));
    sliding.push_back(type.get_string() == kSlidingAttention ? 1 : 0);
  }
  if (sliding.size() != layers)
    return bad_field("layer_types", fmt::format("a list of {} types, one for each layer", layers));
  return sliding;
}

Status parse_windows(json::object const& config, Architecture const& architecture,
                     ModelConfig& result) {
  if (architecture.window == Window::kLimitsContext) {
    auto const window = get_int(config, "sliding_window");
    if (window && *window > 0 && *window < result.context_length)
      result.context_length = static_cast<std::uint32_t>(*window);
    return {};
  }
  bool const per_layer = architecture.window == Window::kPerLayer;
  if (!per_layer && !has_field(config, "layer_types")) return {};
  ASSIGN_OR_RETURN(auto sliding, parse_layer_types(config, result.layers, architecture.full_every));
  auto const count = std::count(sliding.begin(), sliding.end(), 1);
  if (!per_layer && count > 0)
    return unsupported_field(
        fmt::format("layer type '{}' of a {}", kSlidingAttention, architecture.class_name));
  if (!per_layer) return {};
  if (count == 0) return unsupported_field("'layer_types' without a sliding layer");
  if (config.contains("sliding_window") && !has_field(config, "sliding_window"))
    return bad_field("sliding_window", "a whole number");
  ASSIGN_OR_RETURN(result.window,
                   size_field(config, "sliding_window", architecture.window_absent, INT32_MAX));
  result.window_layers = std::move(sliding);
  return {};
}

/// llama.cpp leaves out the rotary embedding of every n-th layer, and of no others.
Status check_unrotated_layers(json::object const& config, Architecture const& architecture,
                              std::uint32_t layers) {
  std::uint32_t const every = architecture.unrotated_every;
  if (every == 0) return {};
  auto const wrong = [&] {
    return unsupported_field(
        fmt::format("'no_rope_layers' other than every {}th layer without rope", every));
  };
  if (!has_field(config, "no_rope_layers")) {
    ASSIGN_OR_RETURN(auto const asked,
                     size_field(config, "no_rope_layer_interval", every, kMaxSize));
    return asked == every ? Status{} : wrong();
  }
  auto const* list = get_array(config, "no_rope_layers");
  if (!list || list->size() < layers)
    return bad_field("no_rope_layers", fmt::format("a list of {} numbers", layers));
  for (std::uint32_t i = 0; i < layers; ++i) {
    std::int64_t const expected = (i + 1) % every != 0 ? 1 : 0;
    auto const* number = (*list)[i].if_int64();
    if (!number || *number != expected) return wrong();
  }
  return {};
}

}  // namespace

std::uint64_t ModelConfig::size(Size what) const {
  auto const wide = [](std::uint32_t number) { return static_cast<std::uint64_t>(number); };
  switch (what) {
    case Size::kOne:
      return 1;
    case Size::kVocabulary:
      return vocabulary_size;
    case Size::kHidden:
      return hidden_size;
    case Size::kFeedForward:
      return feed_forward_size;
    case Size::kTwoFeedForwards:
      return 2 * wide(feed_forward_size);
    case Size::kExpertFeedForward:
      return expert_feed_forward_size;
    case Size::kQuery:
      return wide(heads) * head_size;
    case Size::kKey:
      return wide(kv_heads) * head_size;
    case Size::kQueryKeyValue:
      return (wide(heads) + 2 * wide(kv_heads)) * head_size;
    case Size::kHead:
      return head_size;
    case Size::kExperts:
      return experts;
  }
  return 0;
}

std::string_view fields_of(Size what) {
  switch (what) {
    case Size::kOne:
      return "1";
    case Size::kVocabulary:
      return "rows of the embedding";
    case Size::kHidden:
      return "'hidden_size'";
    case Size::kFeedForward:
      return "'intermediate_size'";
    case Size::kTwoFeedForwards:
      return "2 x 'intermediate_size'";
    case Size::kExpertFeedForward:
      return "the experts' 'intermediate_size'";
    case Size::kQuery:
      return "'num_attention_heads' x 'head_dim'";
    case Size::kKey:
      return "'num_key_value_heads' x 'head_dim'";
    case Size::kQueryKeyValue:
      return "('num_attention_heads' + 2 x 'num_key_value_heads') x 'head_dim'";
    case Size::kHead:
      return "'head_dim'";
    case Size::kExperts:
      return "the number of experts";
  }
  return "";
}

Result<json::object> read_config(std::filesystem::path const& folder) {
  auto const path = folder / "config.json";
  ASSIGN_OR_RETURN(auto const text, os::read_file(path, kMaxConfigBytes));
  auto parsed = parse_json(text);
  if (!parsed) return fail(std::move(parsed.error()).in(path.string()));
  if (!parsed->is_object())
    return fail(Code::kInvalidArgument, path.string() + ": expected a JSON object");
  return std::move(parsed->get_object());
}

ModelConfig identify(json::object const& config) {
  ModelConfig result;
  result.model_type = get_string(config, "model_type").value_or("");
  auto const* classes = get_array(config, "architectures");
  if (classes && !classes->empty() && (*classes)[0].is_string())
    result.class_name = (*classes)[0].get_string();
  result.dtype =
      get_string(config, "torch_dtype").value_or(get_string(config, "dtype").value_or(""));
  return result;
}

Result<Architecture const*> require_architecture(ModelConfig const& config) {
  auto const* found = find_architecture(config.class_name, config.model_type);
  if (found) return found;
  std::string const name = config.class_name.empty() ? config.model_type : config.class_name;
  return fail(
      Code::kUnimplemented,
      fmt::format(
          "architecture '{}' cannot be loaded from safetensors (these can: {}); use a GGUF of this "
          "model",
          name, known_architectures()));
}

Result<ModelConfig> parse_config(json::object const& config, Architecture const& architecture) {
  ModelConfig result = identify(config);
  RETURN_IF_ERROR(refuse_other_features(config, architecture));
  ASSIGN_OR_RETURN(result.layers, size_field(config, "num_hidden_layers", 0, kMaxLayers));
  ASSIGN_OR_RETURN(result.hidden_size, size_field(config, "hidden_size", 0, kMaxSize));
  ASSIGN_OR_RETURN(result.feed_forward_size, size_field(config, "intermediate_size", 0, kMaxSize));
  ASSIGN_OR_RETURN(result.context_length,
                   size_field(config, "max_position_embeddings", 2048, INT32_MAX));
  ASSIGN_OR_RETURN(result.vocabulary_size, size_field(config, "vocab_size", 0, kMaxSize));
  RETURN_IF_ERROR(parse_attention(config, architecture, result));
  RETURN_IF_ERROR(check_query_scale(config, architecture.query_scale, result));
  RETURN_IF_ERROR(parse_experts(config, architecture.experts, result));
  RETURN_IF_ERROR(parse_scalars(config, architecture, result));
  ASSIGN_OR_RETURN(result.norm_epsilon,
                   positive_field(config, architecture.epsilon_field, architecture.epsilon));
  ASSIGN_OR_RETURN(result.rope,
                   parse_rope(config, architecture, result.head_size, result.context_length));
  RETURN_IF_ERROR(check_unrotated_layers(config, architecture, result.layers));
  RETURN_IF_ERROR(parse_windows(config, architecture, result));
  result.tied_embeddings = get_bool(config, "tie_word_embeddings").value_or(architecture.tied);
  return result;
}

}  // namespace homelab::loader
