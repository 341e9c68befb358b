#pragma once

namespace homelab::api {

/// True if this process may open a GPU's device node (NVIDIA or AMD). Says nothing about the
/// engine's build. Cheap.
[[nodiscard]] bool gpu_available();

}  // namespace homelab::api
