#pragma once
// Weights that stay where they are: tensors of the library that point into the mapped safetensors.
//
// The library maps a GGUF and lets its tensors point into it. A virtual GGUF has no bytes to map,
// so here is a buffer type of ggml that gives each tensor its place when the library asks for one:
// in the file itself if the bytes are the same there, else in memory, where they are made. It takes
// part in a load whose mode is to map; what the library "maps" is then only a range of addresses.
#include <llama.h>

#include <memory>

#include "base/result.h"
#include "loader/model_plan.h"

namespace homelab::engine_process {

struct PlacedWeights;

class WeightsInPlace {
 public:
  /// Whether the weights of a load with these parameters may stay in their files: they are computed
  /// with by the processor, in the types they have, and whoever loads did not ask for a copy.
  [[nodiscard]] static bool possible(llama_model_params const& params,
                                     loader::ModelPlan const& plan);

  /// Maps the files of the plan. Errors: kResourceExhausted.
  [[nodiscard]] static Result<std::unique_ptr<WeightsInPlace>> open(
      std::shared_ptr<loader::ModelPlan const> plan);
  WeightsInPlace(WeightsInPlace const&) = delete;
  WeightsInPlace& operator=(WeightsInPlace const&) = delete;
  ~WeightsInPlace();

  /// Lets a load with these parameters come here. Only while this object lives; the model that was
  /// loaded may outlive it.
  void take_part(llama_model_params& params);

  /// After the load: whether all weights could be read.
  [[nodiscard]] Status const& outcome() const;

 private:
  explicit WeightsInPlace(std::shared_ptr<PlacedWeights> weights);

  std::shared_ptr<PlacedWeights> weights_;
};

}  // namespace homelab::engine_process
