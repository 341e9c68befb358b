// Any bytes as the manifest of a trash record: an error, or items that stand where things of their
// kind may stand, the same again after writing.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cache/trash.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  using namespace homelab::cache;
  auto const manifest = parse_manifest_json({reinterpret_cast<char const*>(data), size});
  if (!manifest) return 0;
  for (TrashItem const& item : manifest->items) {
    std::string const framed = "/" + item.path + "/";
    if (framed.find("/../") != std::string::npos || framed.find("/./") != std::string::npos ||
        framed.find("//") != std::string::npos || item.path.find('\0') != std::string::npos)
      std::abort();
    if (item.path.starts_with(".")) std::abort();
  }
  auto const again = parse_manifest_json(to_manifest_json(*manifest));
  if (!again || *again != *manifest) std::abort();
  return 0;
}
