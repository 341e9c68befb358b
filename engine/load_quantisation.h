#pragma once
// What `--load-quantized TYPE` does to the weights of a safetensors snapshot while they are loaded.
#include <string>
#include <string_view>

#include "base/result.h"
#include "loader/model_plan.h"

namespace homelab::engine_process {

/// llama.cpp's types by their names ("Q8_0", "Q4_K", ...). Rows that the blocks of a K type do not
/// divide get the type with smaller blocks that llama.cpp's own quantiser takes instead. Errors:
/// kInvalidArgument listing the names.
[[nodiscard]] Result<loader::Quantisation> parse_quantisation(std::string_view name);

}  // namespace homelab::engine_process
