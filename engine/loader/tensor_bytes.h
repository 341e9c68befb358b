#pragma once
// What happens to the bytes of a tensor between the safetensors and llama.cpp.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace homelab::loader {

/// Widens F16, BF16 or F32 to single precision and adds `plus`; `to` has four bytes for each
/// element.
void widen(std::span<std::byte const> from, std::string_view dtype, float plus,
           std::span<std::byte> to);

/// From rotary halves to adjacent pairs: row r of a head is row (r % 2) * (size / 2) + r / 2 of the
/// source. `rows` is a multiple of `head_rows`, both spans have the same length.
void pair_rows(std::span<std::byte const> from, std::uint64_t rows, std::uint64_t head_rows,
               std::span<std::byte> to);

}  // namespace homelab::loader
