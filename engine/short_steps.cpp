// The second seam: how the core waits while it computes.
//
// Around every computation the core wakes a thread that answers metrics requests meanwhile, and
// waits for it to go back to sleep. That pays for a prefill of seconds. A decode step takes
// milliseconds, and two wake-ups per token cost 0.17 ms of the 11 ms of a 135M model on a virtual
// machine (`make bench`, decode). Here short steps run without it; what waits is answered between
// two steps. The linker sends the core's calls to us (--wrap in CMakeLists.txt).
#include <chrono>
#include <functional>
#include <utility>

struct server_queue;  // the core's

// The names are what the linker makes of server_queue::yield_to_queue.
extern "C" {
void __real__ZN12server_queue14yield_to_queueEOSt8functionIFvvEE(  // NOLINT(bugprone-reserved-identifier)
    server_queue* queue, std::function<void()>&& work);
void __wrap__ZN12server_queue14yield_to_queueEOSt8functionIFvvEE(  // NOLINT(bugprone-reserved-identifier)
    server_queue* queue, std::function<void()>&& work);
}

namespace {

using Clock = std::chrono::steady_clock;

/// A client that asks for something else waits at most about this long.
constexpr auto kShort = std::chrono::milliseconds(100);

/// How long the step before took. The core computes on one thread.
Clock::duration last_step = kShort;

}  // namespace

void __wrap__ZN12server_queue14yield_to_queueEOSt8functionIFvvEE(server_queue* queue,
                                                                 std::function<void()>&& work) {
  auto const begin = Clock::now();
  if (last_step < kShort)
    work();
  else
    __real__ZN12server_queue14yield_to_queueEOSt8functionIFvvEE(queue, std::move(work));
  last_step = Clock::now() - begin;
}
