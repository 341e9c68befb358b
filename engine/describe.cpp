#include "describe.h"

#include <fmt/format.h>
#include <ggml.h>
#include <gguf.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>

#include "base/os/file.h"
#include "base/strings.h"
#include "loader/checkpoint.h"
#include "loader/model_config.h"
#include "loader/tokenizer.h"

namespace homelab::engine_process {
namespace {

struct FreeGguf {
  void operator()(gguf_context* context) const { gguf_free(context); }
};
using Gguf = std::unique_ptr<gguf_context, FreeGguf>;

constexpr std::uint64_t kMaxShards = 10'000;

Result<Gguf> open_gguf(std::filesystem::path const& path) {
  ASSIGN_OR_RETURN(auto const info, os::stat_target(path));
  if (!S_ISREG(info.st_mode)) return fail(Code::kInvalidArgument, path.string() + ": not a file");
  Gguf gguf(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
  if (!gguf) return fail(Code::kDataLoss, path.string() + ": not a GGUF file, or damaged");
  return gguf;
}

std::uint64_t unsigned_value(gguf_context const* gguf, std::string const& key) {
  std::int64_t const id = gguf_find_key(gguf, key.c_str());
  if (id < 0) return 0;
  switch (gguf_get_kv_type(gguf, id)) {
    case GGUF_TYPE_UINT16:
      return gguf_get_val_u16(gguf, id);
    case GGUF_TYPE_UINT32:
      return gguf_get_val_u32(gguf, id);
    case GGUF_TYPE_UINT64:
      return gguf_get_val_u64(gguf, id);
    case GGUF_TYPE_INT32:
      return static_cast<std::uint64_t>(std::max(0, gguf_get_val_i32(gguf, id)));
    default:
      return 0;
  }
}

/// One number, or the sum of an array with one for each layer; a single number counts for `layers`.
std::uint64_t sum_over_layers(gguf_context const* gguf, std::string const& key,
                              std::uint64_t layers) {
  std::int64_t const id = gguf_find_key(gguf, key.c_str());
  if (id < 0 || gguf_get_kv_type(gguf, id) != GGUF_TYPE_ARRAY)
    return unsigned_value(gguf, key) * layers;
  auto const type = gguf_get_arr_type(gguf, id);
  if (type != GGUF_TYPE_INT32 && type != GGUF_TYPE_UINT32) return 0;
  auto const* numbers = static_cast<std::int32_t const*>(gguf_get_arr_data(gguf, id));
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < gguf_get_arr_n(gguf, id); ++i)
    sum += static_cast<std::uint64_t>(std::max(0, numbers[i]));
  return sum;
}

/// Keys and values of one token in all layers, in 16 bits, as the core keeps them by default.
std::uint64_t kv_bytes_per_token(gguf_context const* gguf, std::string const& architecture) {
  constexpr std::uint64_t kNumberBytes = 2;
  auto const number = [&](std::string_view key) {
    return unsigned_value(gguf, fmt::format("{}.{}", architecture, key));
  };
  auto const layers = number("block_count");
  auto const heads = std::max<std::uint64_t>(1, number("attention.head_count"));
  auto kv_heads = sum_over_layers(gguf, architecture + ".attention.head_count_kv", layers);
  if (kv_heads == 0) kv_heads = heads * layers;
  auto const head_size = number("embedding_length") / heads;
  auto const or_head_size = [&](std::uint64_t size) { return size > 0 ? size : head_size; };
  return kv_heads * kNumberBytes *
         (or_head_size(number("attention.key_length")) +
          or_head_size(number("attention.value_length")));
}

/// What the model is for, if not for generating text: "embedding" or "rerank".
std::string purpose(gguf_context const* gguf, std::string const& architecture) {
  constexpr std::uint64_t kRank = 4;  // llama.cpp's LLAMA_POOLING_TYPE_RANK
  auto const pooling = unsigned_value(gguf, architecture + ".pooling_type");
  if (pooling == 0) return {};
  return pooling == kRank ? "rerank" : "embedding";
}

std::string text_value(gguf_context const* gguf, std::string const& key) {
  std::int64_t const id = gguf_find_key(gguf, key.c_str());
  return id >= 0 && gguf_get_kv_type(gguf, id) == GGUF_TYPE_STRING ? gguf_get_val_str(gguf, id)
                                                                   : "";
}

std::uint64_t array_length(gguf_context const* gguf, std::string const& key) {
  std::int64_t const id = gguf_find_key(gguf, key.c_str());
  return id >= 0 && gguf_get_kv_type(gguf, id) == GGUF_TYPE_ARRAY ? gguf_get_arr_n(gguf, id) : 0;
}

struct TensorSums {
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
  std::map<ggml_type, std::uint64_t> bytes_of_type;

  void add(gguf_context const* gguf) {
    for (std::int64_t i = 0; i < gguf_get_n_tensors(gguf); ++i) {
      ggml_type const type = gguf_get_tensor_type(gguf, i);
      std::uint64_t const size = gguf_get_tensor_size(gguf, i);
      bytes += size;
      bytes_of_type[type] += size;
      elements += size / ggml_type_size(type) * static_cast<std::uint64_t>(ggml_blck_size(type));
    }
  }
};

/// "model-00001-of-00003.gguf" -> the same with another number; empty if the name has no such form.
std::string shard_name(std::string const& first, std::uint64_t number, std::uint64_t count) {
  auto const from = fmt::format("-00001-of-{:05}.gguf", count);
  if (!first.ends_with(from)) return {};
  return fmt::format("{}-{:05}-of-{:05}.gguf", first.substr(0, first.size() - from.size()), number,
                     count);
}

Status add_shards(gguf_context const* first, std::filesystem::path const& path, TensorSums& sums) {
  std::uint64_t const count = unsigned_value(first, "split.count");
  if (count <= 1) return {};
  if (count > kMaxShards || unsigned_value(first, "split.no") != 0)
    return fail(Code::kInvalidArgument,
                path.string() + ": expected the first shard of a split model");
  for (std::uint64_t number = 2; number <= count; ++number) {
    auto const name = shard_name(path.filename().string(), number, count);
    if (name.empty()) {
      return fail(
          Code::kInvalidArgument,
          fmt::format(
              "{}: says it is one of {} shards, but its name does not end in -00001-of-{:05}.gguf",
              path.string(), count, count));
    }
    ASSIGN_OR_RETURN(auto const shard, open_gguf(path.parent_path() / name));
    sums.add(shard.get());
  }
  return {};
}

/// llama.cpp's word for a file type as the original's users know it ("Q4_K_M"), from the number in
/// the file.
std::string file_type_name(std::uint64_t file_type) {
  struct Named {
    std::uint64_t number;
    std::string_view name;
  };
  constexpr std::array<Named, 20> kNames = {
      {{0, "F32"},     {1, "F16"},     {2, "Q4_0"},    {3, "Q4_1"},    {7, "Q8_0"},
       {8, "Q5_0"},    {9, "Q5_1"},    {10, "Q2_K"},   {11, "Q3_K_S"}, {12, "Q3_K_M"},
       {13, "Q3_K_L"}, {14, "Q4_K_S"}, {15, "Q4_K_M"}, {16, "Q5_K_S"}, {17, "Q5_K_M"},
       {18, "Q6_K"},   {25, "IQ4_NL"}, {30, "IQ4_XS"}, {32, "BF16"},   {38, "MXFP4_MOE"}}};
  for (auto const& [number, name] : kNames)
    if (number == file_type) return std::string(name);
  return {};
}

std::string gguf_dtype(gguf_context const* gguf, TensorSums const& sums) {
  if (gguf_find_key(gguf, "general.file_type") >= 0) {
    auto const name = file_type_name(unsigned_value(gguf, "general.file_type"));
    if (!name.empty()) return name;
  }
  auto const most =
      std::max_element(sums.bytes_of_type.begin(), sums.bytes_of_type.end(),
                       [](auto const& a, auto const& b) { return a.second < b.second; });
  if (most == sums.bytes_of_type.end()) return "";
  std::string name = ggml_type_name(most->first);
  for (char& c : name) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

Result<json::object> describe_gguf(std::filesystem::path const& path) {
  ASSIGN_OR_RETURN(auto const owned, open_gguf(path));
  auto const* gguf = owned.get();
  auto const architecture = text_value(gguf, "general.architecture");
  if (architecture.empty())
    return fail(Code::kDataLoss, path.string() + ": no general.architecture in this GGUF");
  TensorSums sums;
  sums.add(gguf);
  RETURN_IF_ERROR(add_shards(gguf, path, sums));
  auto vocabulary = unsigned_value(gguf, architecture + ".vocab_size");
  if (vocabulary == 0) vocabulary = array_length(gguf, "tokenizer.ggml.tokens");
  return json::object{{"format", "gguf"},
                      {"architecture", architecture},
                      {"model_type", loader::class_of_gguf_name(architecture)},
                      {"parameter_count", sums.elements},
                      {"default_dtype", gguf_dtype(gguf, sums)},
                      {"context_length", unsigned_value(gguf, architecture + ".context_length")},
                      {"vocab_size", vocabulary},
                      {"tensor_bytes", sums.bytes},
                      {"layers", unsigned_value(gguf, architecture + ".block_count")},
                      {"kv_bytes_per_token", kv_bytes_per_token(gguf, architecture)},
                      {"purpose", purpose(gguf, architecture)},
                      {"chat_template", gguf_find_key(gguf, "tokenizer.chat_template") >= 0},
                      {"name", text_value(gguf, "general.name")},
                      {"loadable", true}};
}

/// ".../models--ORG--NAME/snapshots/COMMIT" -> "ORG/NAME"; any other folder: its own name.
std::string snapshot_name(std::filesystem::path path) {
  std::error_code error;
  path = std::filesystem::absolute(path, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  auto const repository = path.parent_path().parent_path().filename().string();
  constexpr std::string_view kPrefix = "models--";
  if (path.parent_path().filename() != "snapshots" || !repository.starts_with(kPrefix))
    return path.filename().string();
  std::string name = repository.substr(kPrefix.size());
  if (auto const at = name.find("--"); at != std::string::npos) name.replace(at, 2, "/");
  return name;
}

std::string torch_dtype(std::string const& configured, std::string const& stored) {
  if (configured.starts_with("torch.")) return configured;
  if (!configured.empty() && configured != "auto") return "torch." + configured;
  if (stored == "BF16") return "torch.bfloat16";
  if (stored == "F16") return "torch.float16";
  return stored == "F32" ? "torch.float32" : stored;
}

std::uint64_t kv_bytes_per_token(loader::ModelConfig const& config) {
  constexpr std::uint64_t kBytes = 2 * 2;  // keys and values of 16 bits
  return kBytes * config.layers * config.kv_heads * config.head_size;
}

Result<json::object> describe_folder(std::filesystem::path const& folder) {
  ASSIGN_OR_RETURN(auto const config, loader::read_config(folder));
  ASSIGN_OR_RETURN(auto const checkpoint, loader::Checkpoint::open(folder));
  auto const model = loader::identify(config);
  Status loadable{};
  auto architecture = loader::require_architecture(model);
  std::uint64_t kv_bytes = 0;
  if (!architecture) {
    loadable = fail(architecture.error());
  } else if (auto const parsed = loader::parse_config(config, **architecture); !parsed) {
    loadable = fail(parsed.error());
  } else {
    kv_bytes = kv_bytes_per_token(*parsed);
  }
  auto const number = [&](std::string_view key) { return get_int(config, key).value_or(0); };
  json::object result = {
      {"format", "safetensors"},
      {"architecture", architecture ? (*architecture)->gguf_name : model.model_type},
      {"model_type", model.class_name},
      {"parameter_count", checkpoint.parameter_count()},
      {"default_dtype", torch_dtype(model.dtype, checkpoint.main_dtype())},
      {"context_length", number("max_position_embeddings")},
      {"vocab_size", number("vocab_size")},
      {"tensor_bytes", checkpoint.tensor_bytes()},
      {"layers", number("num_hidden_layers")},
      {"kv_bytes_per_token", kv_bytes},
      {"purpose", ""},
      {"chat_template", loader::has_chat_template(folder)},
      {"name", snapshot_name(folder)},
      {"loadable", loadable.has_value()}};
  if (!loadable) result["reason"] = loadable.error().message;
  return result;
}

}  // namespace

Result<json::object> describe(std::filesystem::path const& path) {
  ASSIGN_OR_RETURN(auto const info, os::stat_target(path));
  return S_ISDIR(info.st_mode) ? describe_folder(path) : describe_gguf(path);
}

}  // namespace homelab::engine_process
