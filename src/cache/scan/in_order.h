#pragma once
// Several repositories at once, handed over one after the other (docs/decisions, "The cache scan
// uses a few threads").
#include <cstddef>
#include <functional>
#include <optional>

#include "cache/scan.h"

namespace homelab::cache::scan {

/// Calls `read(0) ... read(count - 1)` on a few threads and `visit` on this one, in that order.
/// nullopt is skipped. An error of `visit` ends everything and is returned; no thread is left.
[[nodiscard]] Status read_in_order(std::size_t count,
                                   std::function<std::optional<RepoScan>(std::size_t)> const& read,
                                   std::function<Status(RepoScan&&)> const& visit);

}  // namespace homelab::cache::scan
