#pragma once
// What the registered models and the running engine need of the cache.
#include <vector>

#include "../context.h"
#include "base/result.h"
#include "cache/removal.h"

namespace homelab::cli {

/// Asks the server, or a private one when none runs. kDataLoss when its answer cannot be
/// understood: then nobody knows what is needed.
[[nodiscard]] Result<std::vector<cache::Need>> needs_of_models(Context const& context);

}  // namespace homelab::cli
