#pragma once
// Which registered models a moved repository belongs to, and what their rows say afterwards. Pure,
// but for looking which folders there are.
#include <string>
#include <vector>

#include "base/result.h"
#include "care/move.h"
#include "care/work.h"

namespace homelab::care {

/// A move as the registry sees it. `source` is the target when nothing stands elsewhere any more.
struct Journey {
  cache::Path source;  ///< hub folder
  cache::Path target;  ///< hub folder
  std::string folder;  ///< "models--org--name"
  bool force = false;
};

/// The rows that name the repository at the source and would not find it at the target; when it is
/// at the target already, those that name a place where it is not. kFailedPrecondition, unless
/// forced, when one of them is loaded or names a path in the source.
[[nodiscard]] Result<std::vector<RegisteredModel>> rows_to_relocate(
    cache::Locations const& locations, std::vector<RegisteredModel> const& models,
    Journey const& journey);

/// True when both paths lead to one place.
[[nodiscard]] bool is_same_place(cache::Path const& one, cache::Path const& other);

}  // namespace homelab::care
