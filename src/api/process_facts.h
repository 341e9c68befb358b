#pragma once
// What the kernel says of this process.
#include <cstdint>
#include <filesystem>

namespace homelab::api {

struct ProcessFacts {
  double cpu_seconds = 0;
  double started_at = 0;  ///< seconds since 1970
  std::uint64_t resident_bytes = 0, virtual_bytes = 0;
  std::uint64_t open_fds = 0, max_fds = 0, threads = 0;
};
/// What cannot be read stays 0.
[[nodiscard]] ProcessFacts process_facts();

}  // namespace homelab::api
