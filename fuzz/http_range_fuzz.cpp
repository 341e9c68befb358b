// Range fields: a part always lies inside the file.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "range.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::uint64_t file_bytes = 0;
  if (size < sizeof file_bytes) return 0;
  std::memcpy(&file_bytes, data, sizeof file_bytes);
  std::string_view const field(reinterpret_cast<char const*>(data) + sizeof file_bytes,
                               size - sizeof file_bytes);
  auto const range = homelab::http::parse_range(field, file_bytes);
  if (range.kind == homelab::http::ByteRange::Kind::kPart &&
      (range.first > range.last || range.last >= file_bytes))
    std::abort();
  return 0;
}
