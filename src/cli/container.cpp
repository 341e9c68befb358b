#include "container.h"

#include <unistd.h>

#include "base/os/file.h"
#include "config/python_cache.h"

namespace homelab::cli {

cache::ContainerHints container_hints() {
  constexpr std::size_t kMaxGroupsBytes = 64UL * 1024;
  cache::ContainerHints hints;
  hints.marked = config::process_variable("HOMELAB_LLM_CONTAINER") == "1";
  hints.docker_file = ::access("/.dockerenv", F_OK) == 0;
  hints.podman_file = ::access("/run/.containerenv", F_OK) == 0;
  hints.kubernetes = config::process_variable("KUBERNETES_SERVICE_HOST").has_value();
  hints.control_groups = os::read_file("/proc/1/cgroup", kMaxGroupsBytes).value_or("");
  return hints;
}

}  // namespace homelab::cli
