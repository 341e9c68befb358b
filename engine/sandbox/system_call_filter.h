#pragma once
// The system calls an engine does without, as a seccomp filter (seccomp(2)).
#include <linux/filter.h>

#include <vector>

namespace homelab::engine_process {

/// Refuses with EPERM: sockets that are not Unix streams, connections, other programs and
/// processes, signals to others, tracing, mounts, modules, keys, BPF, io_uring (which would go past
/// all this), new files, names and owners. `own_pid` may be signalled. Another machine language
/// than the program's own ends the process. Pure.
[[nodiscard]] std::vector<sock_filter> system_call_filter(int own_pid);

/// Puts the filter on every thread of this process. False: the kernel has no seccomp, or refuses.
/// The process must have given up new privileges before.
[[nodiscard]] bool apply_filter(std::vector<sock_filter> filter);

}  // namespace homelab::engine_process
