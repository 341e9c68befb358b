#include "loader/model_config.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "base/os/file.h"

namespace homelab::loader {
namespace {

constexpr std::size_t kMaxConfigBytes = 4'000'000;
constexpr std::int64_t kMaxSize = 1 << 24;
// llama.cpp aborts above this number of layers instead of reporting it.
constexpr std::int64_t kMaxLayers = 512;
constexpr double kDefaultRopeBase = 10000.0;
constexpr double kDefaultEpsilon = 1e-6;

tl::unexpected<Error> bad(std::string_view field, std::string_view expected) {
  return fail(Code::kInvalidArgument, fmt::format("config.json: '{}' must be {}", field, expected));
}

tl::unexpected<Error> unsupported(std::string_view what) {
  return fail(
      Code::kUnimplemented,
      fmt::format("config.json: {} is not supported from safetensors; use a GGUF of this model",
                  what));
}

Result<std::uint32_t> size_field(json::object const& config, std::string_view name,
                                 std::int64_t fallback, std::int64_t maximum) {
  auto const* value = config.if_contains(name);
  bool const absent = value == nullptr || value->is_null();
  auto const number = absent ? std::optional(fallback) : get_int(config, name);
  if (!number || *number < 1 || *number > maximum)
    return bad(name, fmt::format("a whole number from 1 to {}", maximum));
  return static_cast<std::uint32_t>(*number);
}

Result<float> positive_field(json::object const& config, std::string_view name, double fallback) {
  auto const* value = config.if_contains(name);
  double const number =
      value == nullptr || value->is_null()
          ? fallback
          : get_double(config, name).value_or(std::numeric_limits<double>::quiet_NaN());
  auto const single = static_cast<float>(number);
  if (!(single > 0) || !std::isfinite(single)) return bad(name, "a number above 0");
  return single;
}

/// "rope_parameters" (newer) or "rope_scaling" (older); nullptr if neither says anything.
json::object const* rope_object(json::object const& config) {
  auto const* parameters = get_object(config, "rope_parameters");
  return parameters ? parameters : get_object(config, "rope_scaling");
}

Result<RopeScaling> parse_rope(json::object const* rope) {
  RopeScaling scaling;
  if (!rope) return scaling;
  auto kind = get_string(*rope, "rope_type");
  if (!kind) kind = get_string(*rope, "type");
  if (!kind || *kind == "default") return scaling;
  if (*kind != "linear" && *kind != "llama3")
    return unsupported(fmt::format("rope type '{}'", *kind));
  scaling.kind = *kind == "linear" ? RopeScaling::Kind::kLinear : RopeScaling::Kind::kLlama3;
  ASSIGN_OR_RETURN(scaling.factor, positive_field(*rope, "factor", -1));
  if (scaling.kind == RopeScaling::Kind::kLinear) return scaling;
  ASSIGN_OR_RETURN(scaling.low_frequency_factor, positive_field(*rope, "low_freq_factor", 1));
  ASSIGN_OR_RETURN(scaling.high_frequency_factor, positive_field(*rope, "high_freq_factor", 4));
  ASSIGN_OR_RETURN(scaling.original_context,
                   positive_field(*rope, "original_max_position_embeddings", 8192));
  if (scaling.low_frequency_factor >= scaling.high_frequency_factor)
    return bad("low_freq_factor", "less than 'high_freq_factor'");
  return scaling;
}

/// Features that would change what the model computes, and that no row of the table describes.
Status refuse_other_features(json::object const& config, json::object const* rope) {
  if (auto const* quantised = get_object(config, "quantization_config");
      quantised && !quantised->empty()) {
    return unsupported(
        fmt::format("a checkpoint quantised with '{}'",
                    get_string(*quantised, "quant_method").value_or("unknown method")));
  }
  auto const activation = get_string(config, "hidden_act");
  if (activation && *activation != "silu")
    return unsupported(fmt::format("activation '{}'", *activation));
  for (auto const* where : {&config, rope}) {
    if (where && get_double(*where, "partial_rotary_factor").value_or(1.0) != 1.0)
      return unsupported("'partial_rotary_factor'");
  }
  if (get_bool(config, "use_sliding_window").value_or(false))
    return unsupported("'use_sliding_window'");
  return {};
}

Status parse_attention(json::object const& config, ModelConfig& result) {
  ASSIGN_OR_RETURN(result.heads, size_field(config, "num_attention_heads", 0, kMaxSize));
  ASSIGN_OR_RETURN(result.kv_heads,
                   size_field(config, "num_key_value_heads", result.heads, kMaxSize));
  ASSIGN_OR_RETURN(result.head_size,
                   size_field(config, "head_dim", result.hidden_size / result.heads, kMaxSize));
  if (result.heads % result.kv_heads != 0)
    return bad("num_attention_heads", "a multiple of 'num_key_value_heads'");
  if (result.head_size % 2 != 0) return bad("head_dim", "even");
  return {};
}

}  // namespace

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

Result<ModelConfig> parse_config(json::object const& config) {
  ModelConfig result = identify(config);
  auto const* rope = rope_object(config);
  RETURN_IF_ERROR(refuse_other_features(config, rope));
  ASSIGN_OR_RETURN(result.layers, size_field(config, "num_hidden_layers", 0, kMaxLayers));
  ASSIGN_OR_RETURN(result.hidden_size, size_field(config, "hidden_size", 0, kMaxSize));
  ASSIGN_OR_RETURN(result.feed_forward_size, size_field(config, "intermediate_size", 0, kMaxSize));
  ASSIGN_OR_RETURN(result.context_length,
                   size_field(config, "max_position_embeddings", 2048, INT32_MAX));
  ASSIGN_OR_RETURN(result.vocabulary_size, size_field(config, "vocab_size", 0, kMaxSize));
  RETURN_IF_ERROR(parse_attention(config, result));
  ASSIGN_OR_RETURN(result.norm_epsilon, positive_field(config, "rms_norm_eps", kDefaultEpsilon));
  double const base =
      rope ? get_double(*rope, "rope_theta").value_or(kDefaultRopeBase) : kDefaultRopeBase;
  ASSIGN_OR_RETURN(result.rope_base, positive_field(config, "rope_theta", base));
  ASSIGN_OR_RETURN(result.rope, parse_rope(rope));
  result.tied_embeddings = get_bool(config, "tie_word_embeddings").value_or(false);
  // llama.cpp has no window for these architectures; inside the window full attention is the same
  // thing.
  auto const window = get_int(config, "sliding_window");
  bool const windowed = result.model_type == "mistral" && window && *window > 0;
  if (windowed && *window < result.context_length)
    result.context_length = static_cast<std::uint32_t>(*window);
  return result;
}

std::vector<float> llama3_rope_factors(ModelConfig const& config) {
  auto const factor = static_cast<float>(config.rope.factor);
  auto const low = static_cast<float>(config.rope.low_frequency_factor);
  auto const high = static_cast<float>(config.rope.high_frequency_factor);
  auto const context = static_cast<float>(config.rope.original_context);
  std::vector<float> factors;
  for (std::uint32_t i = 0; i < config.head_size; i += 2) {
    float const exponent = static_cast<float>(i) / static_cast<float>(config.head_size);
    float const frequency = 1.0F / std::pow(config.rope_base, exponent);
    float const wavelength = 2.0F * std::numbers::pi_v<float> / frequency;
    if (wavelength < context / high) {
      factors.push_back(1.0F);
    } else if (wavelength > context / low) {
      factors.push_back(factor);
    } else {
      float const smooth = (context / wavelength - low) / (high - low);
      factors.push_back(1.0F / ((1.0F - smooth) / factor + smooth));
    }
  }
  return factors;
}

}  // namespace homelab::loader
