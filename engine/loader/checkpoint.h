#pragma once
// All safetensors of one snapshot folder as one set of tensors: a single file, or shards with an
// index.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "loader/safetensors.h"

namespace homelab::loader {

/// Thread-safe to read once opened. Holds every shard open, so nothing changes under a running
/// load.
class Checkpoint {
 public:
  /// model.safetensors, or the files that model.safetensors.index.json names (plain names in the
  /// same folder only). Errors: kNotFound when there is neither (the message says what was found
  /// instead), kDataLoss for files that are damaged or an index that does not fit its shards.
  [[nodiscard]] static Result<Checkpoint> open(std::filesystem::path const& folder);

  struct Tensor {
    SafetensorsFile const* file;
    TensorInfo const* info;
  };
  /// nullptr file when there is no such tensor.
  [[nodiscard]] Tensor find(std::string_view name) const;
  [[nodiscard]] std::vector<SafetensorsFile> const& files() const { return files_; }
  [[nodiscard]] std::uint64_t parameter_count() const;
  [[nodiscard]] std::uint64_t tensor_bytes() const;
  /// The dtype that holds most bytes.
  [[nodiscard]] std::string main_dtype() const;

 private:
  [[nodiscard]] Status index_tensors();

  std::vector<SafetensorsFile> files_;
  std::unordered_map<std::string, std::pair<std::size_t, std::size_t>> by_name_;
};

}  // namespace homelab::loader
