#pragma once
// Judges the head of an answer to a file request before a byte of it is used (hub-protocol §4.1,
// §5). Pure.
#include <cstdint>

#include "base/result.h"
#include "cache/names.h"
#include "http/message.h"

namespace homelab::hub {

struct WantedBytes {
  cache::BlobName name;
  std::uint64_t size_bytes = 0;  ///< of the whole file
  std::uint64_t from = 0;        ///< first byte asked for
};

enum class HeadVerdict {
  kAppend,     ///< the body continues at `from`
  kStartOver,  ///< the body begins at byte 0 although `from` was asked: throw away what there is,
               ///< then append
  kRetry,      ///< an answer that may be different next time (429, 5xx, an expired signed address)
  kRefused,    ///< 401, 403, 404, …: it will not help to try again
  kChanged,    ///< the server has other content than the listing says (length, etag, range)
};

[[nodiscard]] HeadVerdict judge_head(WantedBytes const& wanted, int status,
                                     http::Headers const& headers);

}  // namespace homelab::hub
