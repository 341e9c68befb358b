#pragma once
// Rows of the registry follow the files of their models to another cache location.
#include <vector>

#include "api/routes.h"

namespace homelab::api {

/// The root of primary and secondary is the one of the server's settings. kInvalidArgument: no such
/// location, custom without a path. kNotFound: no such model. kFailedPrecondition: one of them is
/// loaded, loading or waiting to be, unless forced.
[[nodiscard]] Result<std::vector<registry::Model>> relocate(Services const& services,
                                                            care::Relocation const& relocation,
                                                            bool force);

}  // namespace homelab::api
