#include "load_config.h"

#include <fmt/format.h>

#include <array>

#include "base/json.h"
#include "base/strings.h"

namespace homelab::engine {
namespace {

constexpr int kAllLayers = 9999;
constexpr std::int64_t kMaxContext = 1 << 24;
constexpr std::int64_t kMaxSlots = 256;
constexpr std::string_view kTorch = "torch.";

tl::unexpected<Error> wrong(std::string_view key, std::string_view expected) {
  return fail(Code::kInvalidArgument, fmt::format("load_config: '{}' must be {}", key, expected));
}

tl::unexpected<Error> refused(std::string_view key, std::string_view why) {
  return fail(Code::kUnimplemented, fmt::format("load_config: '{}' is not possible: {}", key, why));
}

Result<bool> flag(std::string_view key, json::value const& value) {
  if (!value.is_bool()) return wrong(key, "true or false");
  return value.get_bool();
}

Result<unsigned> number(std::string_view key, json::value const& value, std::int64_t low,
                        std::int64_t high) {
  auto const* whole = value.if_int64();
  if (whole == nullptr || *whole < low || *whole > high)
    return wrong(key, fmt::format("a whole number from {} to {}", low, high));
  return static_cast<unsigned>(*whole);
}

Result<std::string> text(std::string_view key, json::value const& value) {
  if (!value.is_string()) return wrong(key, "a text");
  return std::string(trim(value.get_string()));
}

Status read_dtype(std::string_view key, json::value const& value, LoadConfig& out) {
  ASSIGN_OR_RETURN(auto name, text(key, value));
  if (name.starts_with(kTorch)) name.erase(0, kTorch.size());
  if (name == "auto") return {};
  constexpr std::array<std::string_view, 3> kNames = {"float32", "float16", "bfloat16"};
  for (auto const& known : kNames) {
    if (name != known) continue;
    out.dtype = name;
    return {};
  }
  return wrong(key, "auto, float32, float16 or bfloat16");
}

/// "auto" is what happens anyway; a device puts the whole model there.
Status read_device(std::string_view key, json::value const& value, LoadConfig& out) {
  if (!value.is_string())
    return refused(key,
                   "layers cannot be placed one by one; \"auto\", \"cpu\" and \"cuda\" are known");
  std::string const name = to_lower(trim(value.get_string()));
  if (name == "auto" || name == "balanced" || name == "sequential") return {};
  if (name == "cpu") {
    out.gpu_layers = 0;
  } else if (name == "cuda" || name.starts_with("cuda:")) {
    out.gpu_layers = kAllLayers;
  } else {
    return wrong(key, "\"auto\", \"cpu\" or \"cuda\"");
  }
  return {};
}

Status read_attention(std::string_view key, json::value const& value, LoadConfig& out) {
  ASSIGN_OR_RETURN(auto const name, text(key, value));
  if (name == "eager") {
    out.flash_attention = "off";
  } else if (name == "flash_attention_2" || name == "flash_attention_3") {
    out.flash_attention = "on";
  } else if (name != "sdpa") {
    return wrong(key, "eager, sdpa or flash_attention_2");
  }
  return {};
}

Status read_8bit(std::string_view key, json::value const& value, LoadConfig& out) {
  ASSIGN_OR_RETURN(bool const on, flag(key, value));
  if (on) out.quantised = "Q8_0";
  return {};
}

Status read_4bit(std::string_view key, json::value const& value, LoadConfig& out) {
  ASSIGN_OR_RETURN(bool const on, flag(key, value));
  if (on) out.quantised = "Q4_K";
  return {};
}

Status read_quantised(std::string_view key, json::value const& value, LoadConfig& out) {
  ASSIGN_OR_RETURN(out.quantised, text(key, value));
  return {};
}

Status read_context(std::string_view key, json::value const& value, LoadConfig& out) {
  ASSIGN_OR_RETURN(out.context_tokens, number(key, value, 1, kMaxContext));
  return {};
}

Status read_slots(std::string_view key, json::value const& value, LoadConfig& out) {
  ASSIGN_OR_RETURN(out.slots, number(key, value, 1, kMaxSlots));
  return {};
}

Status read_layers(std::string_view key, json::value const& value, LoadConfig& out) {
  ASSIGN_OR_RETURN(auto const layers, number(key, value, 0, kAllLayers));
  out.gpu_layers = static_cast<int>(layers);
  return {};
}

Status read_engine(std::string_view, json::value const& value, LoadConfig& out) {
  auto choice = parse_engine_choice(value);
  if (!choice) return fail(std::move(choice).error().in("load_config"));
  out.engine = *std::move(choice);
  return {};
}

/// Weights are read as they are needed, never twice: that is always so here.
Status read_low_memory(std::string_view key, json::value const& value, LoadConfig&) {
  ASSIGN_OR_RETURN([[maybe_unused]] bool const on, flag(key, value));
  return {};
}

struct Key {
  std::string_view name;
  Status (*read)(std::string_view key, json::value const& value, LoadConfig& out);
};
constexpr std::array kKeys = {Key{"engine", read_engine},
                              Key{"torch_dtype", read_dtype},
                              Key{"dtype", read_dtype},
                              Key{"device_map", read_device},
                              Key{"device", read_device},
                              Key{"attn_implementation", read_attention},
                              Key{"low_cpu_mem_usage", read_low_memory},
                              Key{"load_in_8bit", read_8bit},
                              Key{"load_in_4bit", read_4bit},
                              Key{"quantize", read_quantised},
                              Key{"context", read_context},
                              Key{"slots", read_slots},
                              Key{"gpu_layers", read_layers}};

struct RefusedKey {
  std::string_view name;
  std::string_view why;
};
constexpr std::array kRefused = {
    RefusedKey{"trust_remote_code",
               "code from a model repository is never run here; take the key out"},
    RefusedKey{"max_memory",
               "the server counts memory itself; limit the model with \"context\", \"slots\" or "
               "\"gpu_layers\""},
    RefusedKey{"rope_scaling", "the model's own config.json decides; change \"context\" instead"},
    RefusedKey{"quantization_config",
               "take \"quantize\": \"Q8_0\" or \"Q4_K\", which need no other library"}};

Status read_key(std::string_view name, json::value const& value, LoadConfig& out) {
  if (value.is_null()) return {};
  std::string known;
  for (auto const& key : kKeys) {
    if (key.name == name) return key.read(name, value, out);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", key.name);
  }
  for (auto const& key : kRefused)
    if (key.name == name) return refused(name, key.why);
  return fail(
      Code::kInvalidArgument,
      fmt::format("load_config: '{}' is no key that is known here; known are {}", name, known));
}

/// The other keys speak to our own engine.
Status check_keys_of_external(json::object const& config) {
  for (auto const& [key, value] : config) {
    if (value.is_null() || key == "engine" || key == "context") continue;
    return refused(key,
                   "\"engine\" names an engine that is not this program's own; say it in its "
                   "command in the engines file");
  }
  return {};
}

}  // namespace

Result<LoadConfig> parse_load_config(std::optional<std::string> const& text) {
  LoadConfig out;
  if (!text || trim(*text).empty()) return out;
  auto const parsed = parse_json(*text);
  if (!parsed) return fail(Error(parsed.error()).in("load_config"));
  if (parsed->is_null()) return out;
  auto const* object = parsed->if_object();
  if (object == nullptr) return fail(Code::kInvalidArgument, "load_config must be a JSON object");
  for (auto const& [key, value] : *object) RETURN_IF_ERROR(read_key(key, value, out));
  if (out.engine) RETURN_IF_ERROR(check_keys_of_external(*object));
  return out;
}

Status check_dtype(std::string const& wanted, std::string const& stored) {
  std::string_view have = stored;
  if (have.starts_with(kTorch)) have.remove_prefix(kTorch.size());
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kGgufNames = {
      {{"F32", "float32"}, {"F16", "float16"}, {"BF16", "bfloat16"}}};
  for (auto const& [gguf, name] : kGgufNames)
    if (have == gguf) have = name;
  if (wanted.empty() || have == wanted) return {};
  return fail(
      Code::kUnimplemented,
      fmt::format("load_config: 'torch_dtype' asks for {}, but the weights are stored as {}, "
                  "and are used as they are; take \"auto\", or \"quantize\" to make them "
                  "smaller while they are loaded",
                  wanted, stored));
}

}  // namespace homelab::engine
