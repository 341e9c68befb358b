#pragma once
// A snapshot folder as a GGUF that exists only as a plan: its header is in memory, its tensors are
// read from the safetensors (and reordered or widened on the way) when somebody asks for them.
// Nothing is written to disk.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "loader/checkpoint.h"
#include "loader/gguf_header.h"
#include "loader/model_config.h"

namespace homelab::loader {

struct PlannedTensor {
  std::string name;  ///< llama.cpp's name
  GgmlType type = GgmlType::kF32;
  std::vector<std::uint64_t> dimensions{};  ///< fastest first
  std::uint64_t offset = 0;                 ///< from the start of the data
  std::uint64_t bytes = 0;                  ///< in `type`
  Checkpoint::Tensor source{};              ///< no file: `computed` is the content
  std::uint32_t paired_heads = 0;           ///< > 0: rows are reordered within this many heads
  std::vector<float> computed{};

  /// True if the bytes are those of the safetensors file.
  [[nodiscard]] bool is_copy() const;
};

/// Immutable once made, so it may be read by several threads at once.
class ModelPlan {
 public:
  /// Reads config.json, the tokenizer and the headers of all safetensors of `folder`. Errors name
  /// the file and the field, tensor or feature, and what would work instead.
  [[nodiscard]] static Result<std::shared_ptr<ModelPlan const>> make(
      std::filesystem::path const& folder);

  [[nodiscard]] std::string const& header() const { return header_; }
  [[nodiscard]] std::vector<PlannedTensor> const& tensors() const { return tensors_; }
  /// Length of the whole virtual file.
  [[nodiscard]] std::uint64_t size_bytes() const { return header_.size() + data_bytes_; }

  /// All bytes of one tensor in its planned type and order; `out` has exactly tensor.bytes.
  [[nodiscard]] static Status materialise(PlannedTensor const& tensor, std::span<std::byte> out);

 private:
  ModelPlan() = default;
  [[nodiscard]] Status plan_tensors(Architecture const& architecture, ModelConfig const& config);
  [[nodiscard]] Status add(std::string name, std::string const& source, RowOrder order,
                           ModelConfig const& config);
  [[nodiscard]] Status check_all_used(std::vector<std::string> const& used,
                                      ModelConfig const& config) const;
  void place_tensors();

  Checkpoint checkpoint_;
  std::string header_;
  std::vector<PlannedTensor> tensors_;
  std::uint64_t data_bytes_ = 0;
};

}  // namespace homelab::loader
