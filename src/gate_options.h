#pragma once
// The gate as the settings describe it, for the server and the mirror.
#include <memory>

#include "access/gate.h"
#include "config/settings.h"

namespace homelab {

[[nodiscard]] std::shared_ptr<access::Gate> make_gate(config::Settings const& settings);

}  // namespace homelab
