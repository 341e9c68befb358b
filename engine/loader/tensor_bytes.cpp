#include "loader/tensor_bytes.h"

#include <bit>
#include <cstring>

namespace homelab::loader {
namespace {

float half_to_float(std::uint16_t half) {
  std::uint32_t const sign = static_cast<std::uint32_t>(half & 0x8000U) << 16U;
  std::uint32_t const exponent = (half >> 10U) & 0x1FU;
  std::uint32_t const fraction = half & 0x3FFU;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    float const value = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  std::uint32_t const wide = exponent == 0x1FU ? 0xFFU : exponent + 112U;
  return std::bit_cast<float>(sign | (wide << 23U) | (fraction << 13U));
}

float bf16_to_float(std::uint16_t half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16U);
}

template <class Raw, class ToFloat>
void widen_each(std::span<std::byte const> from, float plus, std::span<std::byte> to,
                ToFloat to_float) {
  for (std::size_t i = 0; i * sizeof(Raw) < from.size(); ++i) {
    Raw raw{};
    std::memcpy(&raw, &from[i * sizeof raw], sizeof raw);
    float const value = to_float(raw) + plus;
    std::memcpy(&to[i * sizeof value], &value, sizeof value);
  }
}

}  // namespace

void widen(std::span<std::byte const> from, std::string_view dtype, float plus,
           std::span<std::byte> to) {
  if (dtype == "F32")
    widen_each<float>(from, plus, to, [](float value) { return value; });
  else if (dtype == "F16")
    widen_each<std::uint16_t>(from, plus, to, half_to_float);
  else
    widen_each<std::uint16_t>(from, plus, to, bf16_to_float);
}

void pair_rows(std::span<std::byte const> from, std::uint64_t rows, std::uint64_t head_rows,
               std::span<std::byte> to) {
  std::uint64_t const row_bytes = from.size() / rows;
  for (std::uint64_t row = 0; row < rows; ++row) {
    std::uint64_t const in_head = row % head_rows;
    std::uint64_t const source = row - in_head + (in_head % 2) * (head_rows / 2) + in_head / 2;
    std::memcpy(&to[row * row_bytes], &from[source * row_bytes], row_bytes);
  }
}

}  // namespace homelab::loader
