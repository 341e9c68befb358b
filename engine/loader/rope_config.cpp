#include "loader/rope_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "loader/config_fields.h"

namespace homelab::loader {
namespace {

using Kind = RopeScaling::Kind;

struct NamedKind {
  std::string_view name;
  Kind kind;
  bool RopeKinds::* known;
};
// "su" is what the first Phi-3 called longrope.
constexpr std::array<NamedKind, 5> kKinds = {{{"linear", Kind::kLinear, &RopeKinds::linear},
                                              {"yarn", Kind::kYarn, &RopeKinds::yarn},
                                              {"longrope", Kind::kLongrope, &RopeKinds::longrope},
                                              {"su", Kind::kLongrope, &RopeKinds::longrope},
                                              {"llama3", Kind::kLlama3, &RopeKinds::llama3}}};

// llama.cpp reads these two only for other architectures.
constexpr double kYarnBetaFast = 32;
constexpr double kYarnBetaSlow = 1;

/// Where the reference implementation looks for the length of the training's context.
Result<std::uint32_t> original_context(json::object const& config, json::object const& rope,
                                       std::uint32_t fallback) {
  constexpr std::string_view kField = "original_max_position_embeddings";
  return size_field(has_field(config, kField) ? config : rope, kField, fallback, INT32_MAX);
}

/// "rope_parameters" (newer) or "rope_scaling" (older); an empty object if neither says anything.
json::object const& rope_object(json::object const& config, std::string_view layer_type) {
  static json::object const kNothing;
  auto const* parameters = get_object(config, "rope_parameters");
  if (!parameters) parameters = get_object(config, "rope_scaling");
  if (!parameters) return kNothing;
  auto const* nested = get_object(*parameters, layer_type);
  return nested ? *nested : *parameters;
}

double mscale(double factor, double weight) {
  return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

Status parse_yarn(json::object const& config, json::object const& rope, std::uint32_t context,
                  RopeScaling& scaling) {
  ASSIGN_OR_RETURN(scaling.original_context, original_context(config, rope, context));
  double const ratio = static_cast<double>(context) / scaling.original_context;
  ASSIGN_OR_RETURN(scaling.factor, positive_field(rope, "factor", ratio));
  if (scaling.factor < 1) return bad_field("factor", "at least 1");
  for (auto const& [field, known] :
       {std::pair("beta_fast", kYarnBetaFast), std::pair("beta_slow", kYarnBetaSlow)}) {
    if (has_field(rope, field) && get_double(rope, field) != known)
      return unsupported_field(fmt::format("yarn with another '{}' than {}", field, known));
  }
  if (!get_bool(rope, "truncate").value_or(true))
    return unsupported_field("yarn with 'truncate' false");
  double const own = mscale(scaling.factor, 1);
  double wanted = own;
  double const weight = get_double(rope, "mscale").value_or(0);
  double const weight_of_all = get_double(rope, "mscale_all_dim").value_or(0);
  if (weight != 0 && weight_of_all != 0)
    wanted = mscale(scaling.factor, weight) / mscale(scaling.factor, weight_of_all);
  ASSIGN_OR_RETURN(wanted, positive_field(rope, "attention_factor", wanted));
  scaling.attention_factor = wanted / own;
  return {};
}

Result<std::vector<float>> factor_list(json::object const& rope, std::string_view field,
                                       std::size_t count) {
  auto const* list = get_array(rope, field);
  std::vector<float> factors;
  for (auto const& value : list ? *list : json::array{}) {
    auto const factor = value.is_number() ? static_cast<float>(value.to_number<double>()) : 0.0F;
    if (factor > 0 && std::isfinite(factor)) factors.push_back(factor);
  }
  if (!list || list->size() != count || factors.size() != count) {
    return bad_field(field,
                     fmt::format("{} numbers above 0, one for each rotary frequency", count));
  }
  return factors;
}

Status parse_longrope(json::object const& config, json::object const& rope, std::uint32_t context,
                      std::uint32_t rotary_size, RopeScaling& scaling) {
  ASSIGN_OR_RETURN(scaling.original_context, original_context(config, rope, context));
  double const ratio = static_cast<double>(context) / scaling.original_context;
  ASSIGN_OR_RETURN(scaling.factor, positive_field(rope, "factor", ratio));
  double const usual =
      scaling.factor <= 1
          ? 1.0
          : std::sqrt(1 + std::log(scaling.factor) / std::log(scaling.original_context));
  ASSIGN_OR_RETURN(scaling.attention_factor, positive_field(rope, "attention_factor", usual));
  ASSIGN_OR_RETURN(scaling.short_factors, factor_list(rope, "short_factor", rotary_size / 2));
  ASSIGN_OR_RETURN(scaling.long_factors, factor_list(rope, "long_factor", rotary_size / 2));
  return {};
}

Status parse_llama3(json::object const& config, json::object const& rope, RopeScaling& scaling) {
  ASSIGN_OR_RETURN(scaling.factor, positive_field(rope, "factor", -1));
  ASSIGN_OR_RETURN(scaling.low_frequency_factor, positive_field(rope, "low_freq_factor", 1));
  ASSIGN_OR_RETURN(scaling.high_frequency_factor, positive_field(rope, "high_freq_factor", 4));
  ASSIGN_OR_RETURN(scaling.original_context,
                   original_context(config, rope, scaling.original_context));
  if (scaling.low_frequency_factor >= scaling.high_frequency_factor)
    return bad_field("low_freq_factor", "less than 'high_freq_factor'");
  return {};
}

std::string kind_name(json::object const& rope) {
  auto name = get_string(rope, "rope_type");
  if (!name) name = get_string(rope, "type");
  return name.value_or("default");
}

Result<RopeScaling> parse_scaling(json::object const& config, json::object const& rope,
                                  Architecture const& architecture, std::uint32_t rotary_size,
                                  std::uint32_t context) {
  RopeScaling scaling;
  auto const name = kind_name(rope);
  if (name == "default") return scaling;
  auto const* const found = std::find_if(kKinds.begin(), kKinds.end(),
                                         [&](NamedKind const& kind) { return kind.name == name; });
  if (found == kKinds.end() || !(architecture.rope_kinds.*(found->known)))
    return unsupported_field(fmt::format("rope type '{}' of a {}", name, architecture.class_name));
  scaling.kind = found->kind;
  switch (scaling.kind) {
    case Kind::kYarn:
      RETURN_IF_ERROR(parse_yarn(config, rope, context, scaling));
      break;
    case Kind::kLongrope:
      RETURN_IF_ERROR(parse_longrope(config, rope, context, rotary_size, scaling));
      break;
    case Kind::kLlama3:
      RETURN_IF_ERROR(parse_llama3(config, rope, scaling));
      break;
    default:
      ASSIGN_OR_RETURN(scaling.factor, positive_field(rope, "factor", -1));
  }
  return scaling;
}

Result<std::uint32_t> parse_rotary_size(json::object const& config, json::object const& rope,
                                        Architecture const& architecture, std::uint32_t head_size) {
  constexpr std::string_view kField = "partial_rotary_factor";
  auto const& where = has_field(rope, kField) ? rope : config;
  ASSIGN_OR_RETURN(double const part, positive_field(where, kField, architecture.rotary_part));
  if (part > 1) return bad_field(kField, "at most 1");
  if (part < 1 && !architecture.partial_rotary)
    return unsupported_field(fmt::format("'{}' of a {}", kField, architecture.class_name));
  auto const size = static_cast<std::uint32_t>(static_cast<double>(head_size) * part);
  if (size == 0 || size % 2 != 0)
    return bad_field(kField, fmt::format("such that it makes an even number of {}", head_size));
  return size;
}

}  // namespace

Result<RopeConfig> parse_rope(json::object const& config, Architecture const& architecture,
                              std::uint32_t head_size, std::uint32_t context_length) {
  auto const& rope = rope_object(config, "full_attention");
  RopeConfig result;
  // The newer form has the base inside, the older one beside it.
  constexpr std::string_view kBase = "rope_theta";
  ASSIGN_OR_RETURN(result.base, positive_field(has_field(rope, kBase) ? rope : config, kBase,
                                               architecture.rope_base));
  result.window_base = result.base;
  if (architecture.window_rope_base > 0) {
    auto const& window = rope_object(config, "sliding_attention");
    bool const nested = &window != &rope;
    if (nested && kind_name(window) != "default")
      return unsupported_field("scaled rope of 'sliding_attention'");
    bool const inside = nested && has_field(window, kBase);
    ASSIGN_OR_RETURN(result.window_base, positive_field(inside ? window : config,
                                                        inside ? kBase : "rope_local_base_freq",
                                                        architecture.window_rope_base));
  }
  ASSIGN_OR_RETURN(result.rotary_size, parse_rotary_size(config, rope, architecture, head_size));
  ASSIGN_OR_RETURN(result.scaling,
                   parse_scaling(config, rope, architecture, result.rotary_size, context_length));
  return result;
}

std::vector<float> llama3_rope_factors(RopeConfig const& rope) {
  auto const factor = static_cast<float>(rope.scaling.factor);
  auto const low = static_cast<float>(rope.scaling.low_frequency_factor);
  auto const high = static_cast<float>(rope.scaling.high_frequency_factor);
  auto const context = static_cast<float>(rope.scaling.original_context);
  std::vector<float> factors;
  for (std::uint32_t i = 0; i < rope.rotary_size; i += 2) {
    float const exponent = static_cast<float>(i) / static_cast<float>(rope.rotary_size);
    float const frequency = 1.0F / std::pow(rope.base, exponent);
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
