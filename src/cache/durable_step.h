#pragma once
// The seam of the crash tests: every change to the disk is announced before it happens.

namespace homelab::cache {

#ifdef HOMELAB_CRASH_POINTS
/// Ends the process without clean-up, as a power cut would, when this is the step that
/// HOMELAB_LLM_CRASH_AT_STEP names (counted from 1). `what` is printed then.
void durable_step(char const* what);
#else
inline void durable_step(char const*) {}
#endif

}  // namespace homelab::cache
