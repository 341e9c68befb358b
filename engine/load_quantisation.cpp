#include "load_quantisation.h"

#include <fmt/format.h>
#include <ggml.h>
#include <llama.h>

#include <algorithm>
#include <array>

namespace homelab::engine_process {
namespace {

struct Choice {
  std::string_view name;
  ggml_type type;
  ggml_type other;  ///< for rows that the blocks of `type` do not divide
  llama_ftype file_type;
};

constexpr std::array<Choice, 9> kChoices = {
    {{"Q8_0", GGML_TYPE_Q8_0, GGML_TYPE_Q8_0, LLAMA_FTYPE_MOSTLY_Q8_0},
     {"Q6_K", GGML_TYPE_Q6_K, GGML_TYPE_Q8_0, LLAMA_FTYPE_MOSTLY_Q6_K},
     {"Q5_K", GGML_TYPE_Q5_K, GGML_TYPE_Q5_1, LLAMA_FTYPE_MOSTLY_Q5_K_S},
     {"Q4_K", GGML_TYPE_Q4_K, GGML_TYPE_Q5_0, LLAMA_FTYPE_MOSTLY_Q4_K_S},
     {"Q5_1", GGML_TYPE_Q5_1, GGML_TYPE_Q5_1, LLAMA_FTYPE_MOSTLY_Q5_1},
     {"Q5_0", GGML_TYPE_Q5_0, GGML_TYPE_Q5_0, LLAMA_FTYPE_MOSTLY_Q5_0},
     {"Q4_1", GGML_TYPE_Q4_1, GGML_TYPE_Q4_1, LLAMA_FTYPE_MOSTLY_Q4_1},
     {"Q4_0", GGML_TYPE_Q4_0, GGML_TYPE_Q4_0, LLAMA_FTYPE_MOSTLY_Q4_0},
     {"IQ4_NL", GGML_TYPE_IQ4_NL, GGML_TYPE_IQ4_NL, LLAMA_FTYPE_MOSTLY_IQ4_NL}}};

loader::BlockFormat format_of(ggml_type type) {
  return {static_cast<loader::GgmlType>(type), static_cast<std::uint32_t>(ggml_blck_size(type)),
          static_cast<std::uint32_t>(ggml_type_size(type))};
}

void pack(loader::GgmlType type, std::span<float const> rows, std::uint64_t row_elements,
          std::span<std::byte> out) {
  auto const row_count = static_cast<std::int64_t>(rows.size() / row_elements);
  ggml_quantize_chunk(static_cast<ggml_type>(type), rows.data(), out.data(), 0, row_count,
                      static_cast<std::int64_t>(row_elements), nullptr);
}

}  // namespace

Result<loader::Quantisation> parse_quantisation(std::string_view name) {
  auto const* const found = std::find_if(kChoices.begin(), kChoices.end(),
                                         [&](Choice const& choice) { return choice.name == name; });
  if (found == kChoices.end()) {
    std::string names;
    for (auto const& choice : kChoices) names += fmt::format(" {}", choice.name);
    return fail(Code::kInvalidArgument,
                fmt::format("--load-quantized {}: expected one of{}", name, names));
  }
  loader::Quantisation result;
  result.formats = {format_of(found->type), format_of(found->other)};
  result.file_type = static_cast<std::uint32_t>(found->file_type);
  result.pack = pack;
  return result;
}

}  // namespace homelab::engine_process
