#pragma once
#include "base/json.h"
#include "registry/model.h"

namespace homelab::api {

/// The Model object: the 30 fields of contract §2.2 in their order, then the five version fields
/// that the original forgot (B12).
[[nodiscard]] json::object model_json(registry::Model const& model);

}  // namespace homelab::api
