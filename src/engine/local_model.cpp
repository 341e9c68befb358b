#include "local_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/strings.h"

namespace homelab::engine {
namespace {

namespace fs = std::filesystem;

std::string with_home(std::string_view path) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in this program changes the environment
  char const* home = std::getenv("HOME");
  if (!path.starts_with("~/") || home == nullptr) return std::string(path);
  return std::string(home) + std::string(path.substr(1));
}

/// Position of "-00001-of-00003.gguf" in a name; npos for a file that is no shard.
std::size_t shard_mark(std::string const& name) {
  constexpr std::size_t kMarkLength = std::string_view("-00001-of-00003.gguf").size();
  if (name.size() <= kMarkLength) return std::string::npos;
  std::size_t const at = name.size() - kMarkLength;
  std::string const mark = name.substr(at);
  bool const digits = parse_uint(mark.substr(1, 5)) && parse_uint(mark.substr(10, 5));
  return digits && mark[0] == '-' && mark.substr(6, 4) == "-of-" ? at : std::string::npos;
}

bool is_first_or_single(std::string const& name) {
  std::size_t const at = shard_mark(name);
  return at == std::string::npos || name.substr(at + 1, 5) == "00001";
}

std::uint64_t size_or_zero(fs::path const& file) {
  std::error_code error;
  auto const size = fs::file_size(file, error);
  return error ? 0 : size;
}

std::vector<fs::path> files_in(fs::path const& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->is_regular_file(error)) out.push_back(entry->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// All shards of `file`, or the file alone.
std::uint64_t gguf_bytes(fs::path const& file) {
  std::string const name = file.filename().string();
  std::size_t const at = shard_mark(name);
  if (at == std::string::npos) return size_or_zero(file);
  std::uint64_t sum = 0;
  for (auto const& other : files_in(file.parent_path())) {
    std::string const other_name = other.filename().string();
    if (shard_mark(other_name) == at && other_name.starts_with(name.substr(0, at)))
      sum += size_or_zero(other);
  }
  return sum;
}

Result<LocalModel> find_in_folder(fs::path const& folder) {
  std::uint64_t weights = 0;
  std::uint64_t rest = 0;
  bool config = false;
  std::vector<fs::path> ggufs;
  for (auto const& file : files_in(folder)) {
    std::string const name = file.filename().string();
    if (name == "config.json") config = true;
    if (file.extension() == ".safetensors") weights += size_or_zero(file);
    if (file.extension() == ".json" || file.extension() == ".model") rest += size_or_zero(file);
    if (file.extension() == ".gguf" && is_first_or_single(name) && !name.starts_with("mmproj"))
      ggufs.push_back(file);
  }
  if (config && weights > 0) return LocalModel{folder, weights + rest};
  if (ggufs.size() == 1) return LocalModel{ggufs[0], gguf_bytes(ggufs[0])};
  if (ggufs.size() > 1) {
    return fail(
        Code::kInvalidArgument,
        fmt::format(
            "{} holds {} GGUF models; register one of them by its file name, for example {}",
            folder.string(), ggufs.size(), ggufs[0].string()));
  }
  return fail(
      Code::kInvalidArgument,
      fmt::format(
          "{} is no model folder: expected config.json with *.safetensors, or one .gguf file",
          folder.string()));
}

}  // namespace

bool is_local_path(std::string_view hf_path) {
  return hf_path.starts_with('/') || hf_path.starts_with("~/") || hf_path.starts_with("./") ||
         hf_path.starts_with("../");
}

Result<LocalModel> find_local_model(std::string_view hf_path) {
  std::error_code error;
  fs::path const path = fs::absolute(with_home(hf_path), error).lexically_normal();
  if (error) return fail(Code::kInvalidArgument, fmt::format("{}: {}", hf_path, error.message()));
  auto const status = fs::status(path, error);
  if (fs::is_directory(status)) return find_in_folder(path);
  if (!fs::is_regular_file(status)) {
    return fail(Code::kNotFound,
                fmt::format("{}: there is no such file or folder on this machine", path.string()));
  }
  if (path.extension() != ".gguf") {
    return fail(
        Code::kInvalidArgument,
        fmt::format(
            "{} is no model: expected a .gguf file or a folder with config.json and safetensors",
            path.string()));
  }
  return LocalModel{path, gguf_bytes(path)};
}

}  // namespace homelab::engine
