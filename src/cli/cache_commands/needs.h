#pragma once
// What the registered models and the running engine need of the cache.
#include <vector>

#include "../context.h"
#include "care/work.h"

namespace homelab::cli {

/// Asks the server, or a private one when none runs. kDataLoss when its answer cannot be
/// understood: then nobody knows what is needed.
[[nodiscard]] Result<std::vector<care::RegisteredModel>> registered_models(Context const& context);

/// The server, or a private one, writes it into the registry: what care::Work::record_checks and
/// care::Work::relocate are for.
[[nodiscard]] Status record_checks(Context const& context,
                                   std::vector<care::UpdateCheck> const& checks);
[[nodiscard]] Status relocate_models(Context const& context, care::Relocation const& relocation,
                                     bool force);

}  // namespace homelab::cli
