#pragma once
// An engine never outlives the server that started it, not even when that server is killed with
// SIGKILL.
#include "base/result.h"

namespace homelab::engine_process {

/// Watches `fd`, the read end of a pipe whose write end the server keeps: end of file (or an error)
/// means that the server is gone, and this process ends at once with status 0. Starts one detached
/// thread. The descriptor is made close-on-exec. Errors: kInvalidArgument if `fd` is not open for
/// reading.
[[nodiscard]] Status watch_lifeline(int fd);

}  // namespace homelab::engine_process
