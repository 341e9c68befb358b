#pragma once
// Carrying out a plan of cache/hub_clean_up.h. Private to the cache module.
#include "cache/removal.h"

namespace homelab::cache {

/// As execute_removal(). Each thing is looked at again under its lock (payload: store lock;
/// quarantined content: the blob's etag lock; tried once). Ended at any point, running it again
/// finishes.
[[nodiscard]] Result<RemovalReport> execute_hub_clean_up(RemovalPlan const& plan,
                                                         RemovalOptions const& options);

}  // namespace homelab::cache
