#include "gpu.h"

#include <unistd.h>

#include <initializer_list>

namespace homelab::api {

bool gpu_available() {
  for (char const* node : {"/dev/nvidiactl", "/dev/kfd"})
    if (::access(node, R_OK | W_OK) == 0) return true;
  return false;
}

}  // namespace homelab::api
