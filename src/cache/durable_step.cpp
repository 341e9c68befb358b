#include "durable_step.h"

#ifdef HOMELAB_CRASH_POINTS
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace homelab::cache {

void durable_step(char const* what) {
  constexpr int kExitLikeSigkill = 137;
  static long const last = [] {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in this program changes the environment
    char const* text = std::getenv("HOMELAB_LLM_CRASH_AT_STEP");
    return text == nullptr ? 0L : std::strtol(text, nullptr, 10);
  }();
  static std::atomic<long> count{0};
  if (last == 0 || ++count != last) return;
  std::fprintf(stderr, "crash at step %ld: %s\n", last, what);
  ::_exit(kExitLikeSigkill);
}

}  // namespace homelab::cache
#endif
