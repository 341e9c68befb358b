#include "loader/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <system_error>

#include "base/json.h"

namespace homelab::loader {
namespace {

constexpr char kSingle[] = "model.safetensors";
constexpr char kIndex[] = "model.safetensors.index.json";
constexpr std::size_t kMaxIndexBytes = 64'000'000;
constexpr std::size_t kMaxShards = 10'000;

bool is_there(std::filesystem::path const& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

/// What to tell somebody whose folder has no safetensors.
tl::unexpected<Error> nothing_to_load(std::filesystem::path const& folder) {
  std::string found;
  std::error_code error;
  for (auto const& entry : std::filesystem::directory_iterator(folder, error)) {
    auto const extension = entry.path().extension();
    if (extension == ".gguf") {
      return fail(Code::kNotFound, fmt::format("{}: no safetensors here, but {}: give that file "
                                               "itself",
                                               folder.string(), entry.path().filename().string()));
    }
    if (extension == ".bin" || extension == ".pt" || extension == ".pth")
      found = entry.path().filename();
  }
  if (!found.empty()) {
    return fail(Code::kUnimplemented,
                fmt::format("{}: weights only as a pickle ({}), which is never opened; use a "
                            "revision with safetensors or a GGUF of this model",
                            folder.string(), found));
  }
  return fail(Code::kNotFound,
              fmt::format("{}: neither {} nor {}", folder.string(), kSingle, kIndex));
}

Result<std::map<std::string, std::string>> read_index(std::filesystem::path const& path) {
  ASSIGN_OR_RETURN(auto const text, os::read_file(path, kMaxIndexBytes));
  auto const parsed = parse_json(text);
  if (!parsed) return fail(Error(parsed.error()).in(path.string()));
  auto const* object = parsed->if_object();
  auto const* map = object ? get_object(*object, "weight_map") : nullptr;
  if (!map) return fail(Code::kDataLoss, path.string() + ": expected an object 'weight_map'");
  std::map<std::string, std::string> shard_of;
  for (auto const& [name, file] : *map) {
    if (!file.is_string())
      return fail(Code::kDataLoss, path.string() + ": file names must be text");
    std::string const shard(file.get_string());
    bool const plain = shard.ends_with(".safetensors") && shard.find('/') == std::string::npos &&
                       shard.find('\0') == std::string::npos && !shard.starts_with('.');
    if (!plain) {
      return fail(Code::kDataLoss, fmt::format("{}: '{}' is not a plain name of a safetensors file",
                                               path.string(), shard));
    }
    shard_of.emplace(name, shard);
  }
  return shard_of;
}

}  // namespace

Result<Checkpoint> Checkpoint::open(std::filesystem::path const& folder) {
  Checkpoint result;
  // transformers takes the single file first when a folder has both.
  if (is_there(folder / kSingle)) {
    ASSIGN_OR_RETURN(auto file, SafetensorsFile::open(folder / kSingle));
    result.files_.push_back(std::move(file));
    RETURN_IF_ERROR(result.index_tensors());
    return result;
  }
  if (!is_there(folder / kIndex)) return nothing_to_load(folder);
  ASSIGN_OR_RETURN(auto const shard_of, read_index(folder / kIndex));
  std::set<std::string> shards;
  for (auto const& [name, shard] : shard_of) shards.insert(shard);
  if (shards.empty() || shards.size() > kMaxShards)
    return fail(Code::kDataLoss,
                fmt::format("{}: names {} shards", (folder / kIndex).string(), shards.size()));
  for (auto const& shard : shards) {
    ASSIGN_OR_RETURN(auto file, SafetensorsFile::open(folder / shard));
    result.files_.push_back(std::move(file));
  }
  RETURN_IF_ERROR(result.index_tensors());
  for (auto const& [name, shard] : shard_of) {
    auto const tensor = result.find(name);
    if (!tensor.file || tensor.file->path().filename() != shard) {
      return fail(Code::kDataLoss, fmt::format("{}: tensor '{}' is not in {} as {} says",
                                               folder.string(), name, shard, kIndex));
    }
  }
  return result;
}

Status Checkpoint::index_tensors() {
  for (std::size_t f = 0; f < files_.size(); ++f) {
    auto const& tensors = files_[f].tensors();
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      if (!by_name_.emplace(tensors[t].name, std::pair(f, t)).second) {
        return fail(Code::kDataLoss, fmt::format("{}: tensor '{}' is in another shard as well",
                                                 files_[f].path().string(), tensors[t].name));
      }
    }
  }
  return {};
}

Checkpoint::Tensor Checkpoint::find(std::string_view name) const {
  auto const found = by_name_.find(std::string(name));
  if (found == by_name_.end()) return {nullptr, nullptr};
  auto const& file = files_[found->second.first];
  return {&file, &file.tensors()[found->second.second]};
}

std::uint64_t Checkpoint::parameter_count() const {
  std::uint64_t total = 0;
  for (auto const& file : files_)
    for (auto const& tensor : file.tensors()) total += tensor.elements();
  return total;
}

std::uint64_t Checkpoint::tensor_bytes() const {
  std::uint64_t total = 0;
  for (auto const& file : files_)
    for (auto const& tensor : file.tensors()) total += tensor.bytes;
  return total;
}

std::string Checkpoint::main_dtype() const {
  std::map<std::string, std::uint64_t> bytes;
  for (auto const& file : files_)
    for (auto const& tensor : file.tensors()) bytes[tensor.dtype] += tensor.bytes;
  auto const most = std::max_element(
      bytes.begin(), bytes.end(), [](auto const& a, auto const& b) { return a.second < b.second; });
  return most == bytes.end() ? "" : most->first;
}

}  // namespace homelab::loader
