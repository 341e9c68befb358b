// Any bytes as the header of a safetensors file: either an error, or tensors that cover the data
// exactly.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "loader/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size < 2) return 0;
  std::uint64_t const data_bytes = data[0] | (static_cast<std::uint64_t>(data[1]) << 8U);
  std::string_view const header(reinterpret_cast<char const*>(data) + 2, size - 2);
  auto const tensors = homelab::loader::parse_safetensors_header(header, data_bytes);
  if (!tensors) return 0;
  std::uint64_t position = 0;
  for (auto const& tensor : *tensors) {
    if (tensor.offset != position || tensor.offset + tensor.bytes > data_bytes) std::abort();
    if (tensor.elements() * homelab::loader::dtype_bytes(tensor.dtype) != tensor.bytes)
      std::abort();
    position += tensor.bytes;
  }
  if (position != data_bytes) std::abort();
  return 0;
}
