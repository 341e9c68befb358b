#pragma once
// The text form of what switch_revision() remembers.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cache/names.h"

namespace homelab::cache {

struct RevisionMove {
  Revision revision;
  CommitHash from;
  CommitHash to;
  std::int64_t when_s = 0;  ///< since 1970, UTC
  friend bool operator==(RevisionMove const&, RevisionMove const&) = default;
};
/// Oldest first; more than this are forgotten from the front.
inline constexpr std::size_t kMaxMoves = 100;
[[nodiscard]] std::string to_text(std::vector<RevisionMove> const& moves);
/// Empty for anything that to_text() would not have written.
[[nodiscard]] std::vector<RevisionMove> parse_moves(std::string_view text);

}  // namespace homelab::cache
