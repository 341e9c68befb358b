#pragma once
// How much memory there is to be had, and how much a process has.
#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/result.h"

namespace homelab::os {

/// Bytes that new work may take without pushing anything out: the kernel's own estimate
/// (MemAvailable of /proc/meminfo), or what is left of the memory limit of this process's control
/// group, whichever is less. `root` stands for "/" in tests. Errors: kUnavailable when the kernel
/// does not say.
[[nodiscard]] Result<std::uint64_t> available_memory(std::filesystem::path const& root = "/");

struct ProcessMemory {
  std::uint64_t own_bytes = 0;   ///< anonymous and shared memory
  std::uint64_t file_bytes = 0;  ///< mapped files: the kernel may drop them, and reads them again
  [[nodiscard]] std::uint64_t total() const { return own_bytes + file_bytes; }
};
/// What a process has in memory; nullopt when it is gone.
[[nodiscard]] std::optional<ProcessMemory> process_memory(int pid);

}  // namespace homelab::os
