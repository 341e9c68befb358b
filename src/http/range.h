#pragma once
// The Range field of a request (RFC 9110 §14).
#include <cstdint>
#include <string_view>

namespace homelab::http {

struct ByteRange {
  enum class Kind {
    kWhole,          ///< no range, one we do not understand, or several: the whole file is sent
    kPart,           ///< `first` up to and including `last`
    kUnsatisfiable,  ///< begins behind the end
  };
  Kind kind = Kind::kWhole;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

/// What `field` ("bytes=0-99", "bytes=100-", "bytes=-5") means for a body of `size_bytes` bytes.
[[nodiscard]] ByteRange parse_range(std::string_view field, std::uint64_t size_bytes);

}  // namespace homelab::http
