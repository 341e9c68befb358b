// The index of a hub folder may hold anything: what is accepted is exactly what would be written,
// and no name in it leads out of its folder.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "index/index_file.h"
#include "index/record.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_one_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  using namespace homelab::cache::index;
  std::string_view const bytes(reinterpret_cast<char const*>(data), size);
  if (auto const record = parse_record(bytes)) {
    require(parse_record(to_bytes(*record)) == record);
    for (auto const& folder : record->folders) {
      require(folder.depth == 0 || is_one_name(folder.name));
      for (auto const& file : folder.files) require(is_one_name(file.name));
    }
  }
  constexpr std::uint64_t kRecordsEnd = 1U << 20U;
  if (auto const table = parse_table(bytes, kRecordsEnd)) {
    require(parse_table(to_bytes(*table), kRecordsEnd) == table);
    for (auto const& entry : *table)
      require(entry.offset <= kRecordsEnd && entry.size_bytes <= kRecordsEnd - entry.offset);
  }
  return 0;
}
