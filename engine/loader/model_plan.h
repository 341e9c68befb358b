#pragma once
// A snapshot folder as a GGUF that exists only as a plan: its header is in memory, its tensors are
// read from the safetensors (and reordered, stacked or widened on the way) when somebody asks for
// them. Nothing is written to disk.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "loader/checkpoint.h"
#include "loader/gguf_header.h"
#include "loader/model_config.h"
#include "loader/text_rules.h"

namespace homelab::loader {

/// How numbers are stored: `elements` of a row take `bytes`.
struct BlockFormat {
  GgmlType type = GgmlType::kF32;
  std::uint32_t elements = 1;
  std::uint32_t bytes = 4;
};

/// Stores whole rows of `row_elements` numbers in `type`; `out` has exactly their bytes.
using PackRows = void (*)(GgmlType type, std::span<float const> rows, std::uint64_t row_elements,
                          std::span<std::byte> out);

/// What weight matrices become while they are read. Vectors, norms and routers stay as they are.
struct Quantisation {
  std::vector<BlockFormat> formats{};  ///< the first whose block divides a row; none does: as it is
  std::uint32_t file_type = 0;         ///< llama.cpp's number for such a file
  PackRows pack = nullptr;
};

struct PlannedTensor {
  std::string name;  ///< llama.cpp's name
  GgmlType type = GgmlType::kF32;
  std::vector<std::uint64_t> dimensions{};  ///< fastest first
  std::uint64_t offset = 0;                 ///< from the start of the data
  std::uint64_t bytes = 0;                  ///< in `type`
  /// One for most tensors; several of the same size that follow each other for a stack (the
  /// experts of a layer); none if `computed` is the content.
  std::vector<Checkpoint::Tensor> sources{};
  std::uint32_t paired_heads = 0;  ///< > 0: rows are reordered within this many heads
  bool plus_one = false;           ///< 1 is added to each element
  PackRows pack = nullptr;         ///< not null: `type` is one of its
  std::vector<float> computed{};

  /// True if the bytes are those of the safetensors files.
  [[nodiscard]] bool is_copy() const;
  /// Of one source, in `type`.
  [[nodiscard]] std::uint64_t part_bytes() const;
  /// Of one source; 1 if there is none.
  [[nodiscard]] std::uint64_t part_rows() const;
  [[nodiscard]] std::uint64_t row_bytes() const { return part_bytes() / part_rows(); }
  /// How many rows are made at a time: a few MiB, and whole heads where rows change places.
  [[nodiscard]] std::uint64_t slice_rows() const;
};

/// Immutable once made, so it may be read by several threads at once.
class ModelPlan {
 public:
  /// Reads config.json, the tokenizer and the headers of all safetensors of `folder`. Errors name
  /// the file and the field, tensor or feature, and what would work instead.
  [[nodiscard]] static Result<std::shared_ptr<ModelPlan const>> make(
      std::filesystem::path const& folder, Quantisation const& quantisation = {});

  [[nodiscard]] std::string const& header() const { return header_; }
  [[nodiscard]] std::vector<PlannedTensor> const& tensors() const { return tensors_; }
  /// What must be done to texts before llama.cpp tokenizes them; nullptr if nothing.
  [[nodiscard]] std::shared_ptr<TextRules const> const& text_rules() const { return text_rules_; }
  /// Length of the whole virtual file.
  [[nodiscard]] std::uint64_t size_bytes() const { return header_.size() + data_bytes_; }

  /// All bytes of one tensor in its planned type and order; `out` has exactly tensor.bytes.
  [[nodiscard]] static Status materialise(PlannedTensor const& tensor, std::span<std::byte> out);
  /// Rows of one source, from `first_row` (a multiple of slice_rows()) on; `out` has the bytes of
  /// at most slice_rows(). Needs a few times the memory of `out` besides.
  [[nodiscard]] static Status materialise_rows(PlannedTensor const& tensor, std::size_t part,
                                               std::uint64_t first_row, std::span<std::byte> out);

 private:
  ModelPlan() = default;
  [[nodiscard]] Status plan_tensors(json::object const& json_config,
                                    Architecture const& architecture, ModelConfig const& config);
  [[nodiscard]] Status plan_output(Architecture const& architecture, ModelConfig const& config);
  [[nodiscard]] Status add(TensorRule const& rule, std::uint32_t layer, ModelConfig const& config);
  void add_computed(std::string name, std::vector<float> values);
  [[nodiscard]] Status check_all_used(ModelConfig const& config) const;
  void place_tensors();

  Checkpoint checkpoint_;
  Quantisation quantisation_;
  std::string header_;
  std::shared_ptr<TextRules const> text_rules_;
  std::vector<PlannedTensor> tensors_;
  std::unordered_set<std::string> used_;
  std::uint64_t data_bytes_ = 0;
};

}  // namespace homelab::loader
